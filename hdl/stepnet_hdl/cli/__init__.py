"""The commands that this package adds to `stepnet`: build, boards, flash and estimate."""
