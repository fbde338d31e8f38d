"""Benches: cocotb test modules for the gateware as Verilog; `bench_runner` runs them.

Each bench has separate drivers, monitors and a scoreboard, and its expectations come from
`stepnet.networks.reference`, `stepnet.link.messages` and the published latencies.
"""
