"""Each kind of core as host and gateware agree on it: its shape, its memories and its cycles.

There is a folder for each core. Boards, gateware and benches import the declarations from it.
"""
