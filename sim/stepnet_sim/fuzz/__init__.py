"""Random and mutated frames against a chip, and random bytes against the host's parser.

`session` fuzzes a chip with what `frames` draws, and judges its answers by `model`; `parser` has
the checks of the host.
"""
