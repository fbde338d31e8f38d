"""The board's end of the link: from the serial pins to pixels, loads and answers.

`endpoint` is where requests become actions; `uart`, `cobs` and `frames` are on the way to it.
"""
