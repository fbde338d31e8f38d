"""Cores: what infers. One folder for each kind; `interface` is what all of them have in common."""
