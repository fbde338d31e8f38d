"""The multiply-accumulate core: ordinary networks with 8-bit weights, a neuron in each lane.

`mac` is the core. `stepnet.cores.mac` has what the host knows of it.
"""
