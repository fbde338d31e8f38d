"""One module a family, each with its `Family` objects.

A new one is used as soon as a row of `stepnet_hdl.fpga.parts` has it.
"""
