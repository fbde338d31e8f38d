"""Boards that people own: their pins and clocks, the chip that suits them, what they hold.

`catalogue` finds a board by name; `programmers` writes a bitstream into one.
"""
