"""What one image does to the chip: every signal, also in the network's words, as a trace or as a
picture.
"""
