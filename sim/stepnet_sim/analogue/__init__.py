"""Networks in arrays of analogue memory, simulated: cells, pairs, wires, converters."""
