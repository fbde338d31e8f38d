"""What every core and the link endpoint agree on: the layouts of their streams."""

from amaranth.lib import data

from stepnet.cores.engine.shape import CODE_BITS

CYCLES_BITS = 24
MARGIN_BITS = 24
"""No image takes 0.1 s at any clock, and no sum of any shape is wider."""

CoreReading = data.StructLayout(
    {"code": CODE_BITS, "margin": MARGIN_BITS, "cycles": CYCLES_BITS, "overrun": 1}
)
"""What a core says of an image: the character register, how far a sum may move before it changes,
the cycles from the last pixel to it, and whether the loaded network ran off the end of the
parameter memory, which makes the rest worthless."""
