"""What an engine is chosen for."""

from enum import StrEnum


class Target(StrEnum):
    """`FASTEST`: as many images per second as fit; `LINK`: as small as keeps up with the link."""

    FASTEST = "fastest"
    LINK = "link"
