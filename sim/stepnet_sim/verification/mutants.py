"""Blocks broken on purpose: a check that accepts one of them checks nothing.

A mutant is a subclass of the block. Most add statements behind the sound ones, of which the last
one counts, or do one step of the block otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

from amaranth.hdl import Elaboratable, Module, Signal


@dataclass(frozen=True)
class Mutant:
    """`block` in place of its base class, wherever that is taken from `module`."""

    module: ModuleType
    block: type[Elaboratable]

    @property
    def sound_name(self) -> str:
        """The name of the class that is broken, in `module`."""
        sound = self.block.__base__
        assert sound is not None, "every class but `object` has a base"
        return sound.__name__

    def __str__(self) -> str:
        """What is broken, for a log."""
        return f"{self.block.__name__} as {self.module.__name__}.{self.sound_name}"


@contextmanager
def broken(mutant: Mutant | None) -> Iterator[None]:
    """While this lasts, the mutant is made where the sound block would be. None breaks nothing.

    Raises AttributeError if the module has no class of that name.
    """
    if mutant is None:
        yield
        return
    with patch.object(mutant.module, mutant.sound_name, mutant.block):
        yield


def driven(m: Module, name: str) -> Signal:
    """Return the signal of this name that the module of a block assigns, although it is no port.

    Raises ValueError if there is none, or more than one: the block has changed since.
    """
    driving: Any = m._driving
    found = [signal for signal in driving if signal.name == name]
    if len(found) != 1:
        raise ValueError(f"The module assigns {len(found)} signals named {name!r}.")
    return found[0]


def opened(block: type[Elaboratable], *arguments: object) -> Any:
    """Return a block made of `arguments`, with its module as `inside`, where `driven` finds what is
    no port.
    """
    made: Any = block

    class Opened(made):
        def __init__(self) -> None:
            super().__init__(*arguments)
            self.inside = super().elaborate(None)

        def elaborate(self, platform: object) -> Module:
            return self.inside

    return Opened()
