"""Benches: cocotb test modules for the gateware as Verilog; `stepnet_sim.bench_runner` runs them.

Each bench has separate drivers, monitors and a scoreboard, and its expectations come from
`stepnet.reference`, `stepnet.protocol` and the published latencies.
"""
