-- Everything that a generation holds.
SELECT key, part, bytes, "offset" FROM read.{parts}
