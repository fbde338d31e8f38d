"""The table walk: a network of look-up tables in block RAM, one table after the other.

For parts that are too small to have a look-up table of their own for each one of the network.
`table_walk` is the core; `contents` says what its memories hold.
"""
