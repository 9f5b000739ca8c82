"""`weft doctor`: what is missing on a machine, and the command that mends it."""
