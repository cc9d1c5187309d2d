SELECT count(*) FROM read.{old}
