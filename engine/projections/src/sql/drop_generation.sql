DROP TABLE IF EXISTS read.{parts}, read.{parts}_view, read.{parts}_writer
