-- Which parts a generation holds, and of which event each is: enough to see what has moved.
SELECT key, part, "offset" FROM read.{parts}
