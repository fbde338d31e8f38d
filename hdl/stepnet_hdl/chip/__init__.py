"""Whole chips: a core behind its link, with a byte stream, with serial pins, and on a board."""
