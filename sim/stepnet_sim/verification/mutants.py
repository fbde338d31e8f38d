"""Blocks broken on purpose: a check that accepts one of them checks nothing."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

GATEWARE = "stepnet_hdl."


@dataclass(frozen=True)
class Mutant:
    """A module in which the text `old`, which is in it exactly once, is `new`."""

    module: str
    old: str
    new: str

    def __str__(self) -> str:
        """What is broken, for a log."""
        return f"{self.module}: {self.old!r} as {self.new!r}"


@contextmanager
def broken(mutant: Mutant | None) -> Iterator[None]:
    """While this lasts, the classes and functions of the mutant's module are the broken ones, there
    and wherever the gateware has imported them by name. None breaks nothing.

    Raises ValueError if the module does not hold the text exactly once: it has changed since.
    """
    if mutant is None:
        yield
        return
    module = importlib.import_module(mutant.module)
    replacements = _replacements(module, mutant)
    sound = [
        (vars(user), name, vars(user)[name])
        for user in (module, *_gateware())
        for name in replacements
        if vars(user).get(name) is vars(module)[name]
    ]
    for namespace, name, _ in sound:
        namespace[name] = replacements[name]
    try:
        yield
    finally:
        for namespace, name, value in sound:
            namespace[name] = value


def _replacements(module: ModuleType, mutant: Mutant) -> dict[str, Any]:
    """The broken classes and functions by name."""
    source = inspect.getsource(module)
    if source.count(mutant.old) != 1:
        raise ValueError(f"{mutant.module} holds {source.count(mutant.old)} times {mutant.old!r}.")
    changed = ModuleType(module.__name__)
    vars(changed).update(__file__=module.__file__, __package__=module.__package__)
    # The source is this project's own, or Amaranth's.
    code = compile(source.replace(mutant.old, mutant.new), f"mutant of {module.__file__}", "exec")
    exec(code, vars(changed))
    return {
        name: value
        for name, value in vars(changed).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def _gateware() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.startswith(GATEWARE)]
