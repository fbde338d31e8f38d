"""The byte channel to a board, and what goes over it.

`messages` declares the protocol and `frames` how a message is packed, `link` opens a channel,
`exchange` asks over it and matches the answers, and `share` and `bridge` lend it to others.
"""
