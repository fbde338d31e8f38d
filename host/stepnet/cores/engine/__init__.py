"""The engine, as host and gateware agree on it: its shape, its memories' layout, its cycles.

`shape` has the widths and headers, `memory_image` lays a network out, `cycles` says how long an
image takes.
"""
