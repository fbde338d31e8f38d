"""The pipeline: a network of look-up tables in the fabric, which takes a new image in every cycle.

`pipeline` is the core behind the link; `table_pipeline` is the bare network for designs of one's
own. The others are its stages, in the order in which an image passes them.
"""
