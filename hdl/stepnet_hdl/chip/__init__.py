"""Whole chips: a core behind its link, as a byte stream, with serial pins, and on a board."""
