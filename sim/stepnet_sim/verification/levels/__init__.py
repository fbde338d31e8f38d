"""The levels of the verification ladder, a module each; all have the same `run`."""
