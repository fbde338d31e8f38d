"""From a board's chip to its bitstream: plan, tools, cache, report.

`build` is where it starts; `build_plan` says what the tools get, `run` runs them.
"""
