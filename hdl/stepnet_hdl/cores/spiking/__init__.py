"""A core of integrate-and-fire neurons that take turns, a group of them in each cycle."""
