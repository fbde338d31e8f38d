"""FPGA families: how they map memories, make clocks, and what their tools need.

Facts of parts and families; nothing here knows what is built for them.
"""
