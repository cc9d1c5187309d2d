ANALYZE read.{parts}, read.{parts}_view, read.{parts}_writer
