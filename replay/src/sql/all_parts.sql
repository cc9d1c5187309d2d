SELECT key, part, bytes FROM read.{new}
