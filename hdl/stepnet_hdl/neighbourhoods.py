"""Which lanes of an engine lie close enough together to get something in the same cycle."""

MIN_LANES = 8
MAX_NEIGHBOURHOODS = 3


def neighbourhoods(pe: int) -> list[range]:
    """The `pe` lanes of an engine, divided among up to `MAX_NEIGHBOURHOODS` places of the device.

    What all lanes get, but in no certain cycle, goes from one neighbourhood to the next through a
    register, so that it need not cross a large part in one cycle. Up to `MIN_LANES` lanes are one.
    The kind of a layer's weights has to be everywhere when its first words are: that bounds their
    number.
    """
    lanes = max(MIN_LANES, -(-pe // MAX_NEIGHBOURHOODS))
    return [range(first, min(first + lanes, pe)) for first in range(0, pe, lanes)]
