"""Random and mutated frames against the chip's end of the link."""
