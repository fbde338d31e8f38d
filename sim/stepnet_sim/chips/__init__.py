"""Chips in simulation: generated, compiled or interpreted, behind a link, and served to others.

`design` says which chip is simulated, and `virtual_board` is the link to it that
`open_board("sim")` opens. `verilated` compiles chips, `interpreted` does without a compiler.
"""
