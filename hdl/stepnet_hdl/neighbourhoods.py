"""Which lanes of an engine lie close enough together to get something in the same cycle."""

from stepnet.engine import EngineShape

NEAR_LANES = 8
NEAR_WEIGHTS = 512
MAX_NEIGHBOURHOODS = 3


def neighbourhoods(shape: EngineShape) -> list[range]:
    """The lanes of an engine, divided among up to `MAX_NEIGHBOURHOODS` places of the device.

    What all lanes get, but in no certain cycle, goes from one neighbourhood to the next through a
    register, so that it need not cross a large part in one cycle. Up to `NEAR_LANES` lanes, and up
    to `NEAR_WEIGHTS` weights per cycle, are one. The kind of a layer's weights has to be everywhere
    when its first words are: that bounds their number.
    """
    pe = shape.pe
    if shape.simd * pe <= NEAR_WEIGHTS:
        return [range(pe)]
    lanes = max(NEAR_LANES, -(-pe // MAX_NEIGHBOURHOODS))
    return [range(first, min(first + lanes, pe)) for first in range(0, pe, lanes)]
