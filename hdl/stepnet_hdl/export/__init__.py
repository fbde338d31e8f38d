"""A core with its network, for designs that are not Stepnet's: Verilog, testbench, FuseSoC.

`core` puts plain ports around a core, `verilog` writes it, `testbench` checks it with images, and
`fusesoc` describes both; `files` writes them all.
"""
