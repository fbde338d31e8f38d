"""How the characters lie that a network learned from: what the card of a network says of it."""

from __future__ import annotations

import enum
from typing import Any

from stepnet.networks.network import CharacterNetwork


class Placing(enum.StrEnum):
    """How a collection places its characters.

    MNIST: the longer side of a character's box is 20/28 of the image's side; its centre of mass is
    in the middle of the image.
    UNIPEN: the writer's capitals are 22/28 of the image's side high, so a full stop stays small;
    what is longer than a capital is scaled down to that. The middle of the box is in the middle of
    the image.
    """

    MNIST = "mnist"
    UNIPEN = "unipen"

    @property
    def ink_part(self) -> float:
        """Part of the image's side that the longer side of a character fills at most."""
        return {Placing.MNIST: 20 / 28, Placing.UNIPEN: 22 / 28}[self]


def placing_of(network: CharacterNetwork[Any]) -> Placing | None:
    """How the data place characters that `network` learned from, by its card: the entry `placing`,
    or the collection that `data` begins with; None if the card does not tell.
    """
    told = network.card.get("placing") or network.card.get("data", "")
    return next((placing for placing in Placing if told.startswith(placing)), None)
