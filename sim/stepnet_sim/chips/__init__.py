"""Chips in simulation: generated, compiled or interpreted, behind a link, served to others.

`design` says which chip, `virtual_board` is the link to it that `open_board("sim")` opens.
"""
