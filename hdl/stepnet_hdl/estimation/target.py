"""What a planned engine is to be good at."""

from enum import StrEnum


class Target(StrEnum):
    """`FASTEST`: as many images per second as fit; `LINK`: as small as keeps up with the link."""

    FASTEST = "fastest"
    LINK = "link"
