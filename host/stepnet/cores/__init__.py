"""What the host knows of each kind of core: its shape, its memories and its cycles.

One folder per core; boards, gateware and benches import these declarations.
"""
