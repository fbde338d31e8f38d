"""Makes the bitstream of a board's chip: plan, tools, cache, report.

`build` is where it starts; `build_plan` says what the tools get, `run` runs them.
"""
