"""Pictures of handwriting, and how they become network input.

`preparing` makes of a picture what one network gets, in the steps of `picture` (a file becomes grey
values), `paper` (what of it is ink; `dither`, `page`, `rules`, `frame` and `dots` take away what is
neither), `one_character` (whether that can be one), `segmentation` and `pieces` (a line is cut into
characters) and `placing` (where a character stands in the image). `outlines` holds the geometry of
sheets and frames, `text_line` reads a line, `steps` draws what was done.
"""
