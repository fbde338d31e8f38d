"""Gateware of Stepnet in Amaranth: blocks, the engine, the link endpoint, board tops; and the build
flow."""
