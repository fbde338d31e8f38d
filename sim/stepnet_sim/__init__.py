"""The virtual board: the gateware of Stepnet, simulated; and the cocotb benches."""
