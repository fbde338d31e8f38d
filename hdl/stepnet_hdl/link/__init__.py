"""The board's end of the link: from the pins to pixels, loads and answers.

`endpoint` is where requests become actions; `uart` or `spi`, `cobs` and `frames` are on
the way to it.
"""
