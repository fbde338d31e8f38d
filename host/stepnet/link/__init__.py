"""The byte channel to a board, and what goes over it.

`messages` declares the protocol, `link` opens a channel, `exchange` asks and answers over it, and
`share` and `bridge` lend it to others.
"""
