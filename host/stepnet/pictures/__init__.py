"""Pictures of handwriting, and how they become network input.

`picture` goes from a file to an image in the steps of `paper` (what is ink) and `placing` (where it
lies); `text_line` and `pieces` cut a line into characters, `steps` draws what was done.
"""
