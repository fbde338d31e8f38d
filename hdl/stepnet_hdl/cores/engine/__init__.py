"""The engine: a core that runs any network it is loaded with.

`engine` connects the others; docs/engine.md goes through them one by one.
"""
