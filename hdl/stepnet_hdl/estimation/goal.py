"""What an engine is chosen for."""

from enum import StrEnum


class Goal(StrEnum):
    """`IMAGES`: as many images per second as fit; `LINK`: as small as keeps up with the link."""

    IMAGES = "images"
    LINK = "link"
