"""FPGA parts and families: what data sheets say, how memories map, how clocks are made.

`parts` has a row a part, `families` a module a family with all that its tools need.
"""
