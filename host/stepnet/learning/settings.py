"""The declaration of a setting of a training run: what is known of it beside type and default.

Each setting is the field of a dataclass, and is declared once, by a `Setting` in its annotation:
most of them in `stepnet.learning.config.Config`, those of the data in `stepnet.cli.train`. The
checks of values, the options of `stepnet train`, the record of a run and the command on a network's
card are all made from that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from stepnet.errors import TrainingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TERNARY = "ternary"
"""The weights -1, 0 and +1, which the network's file keeps in 2 bits."""


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting.

    help: what it is, as `stepnet train --help` says it.
    called: what it is called where one of its `choices` is asked for.
    choices: the words that it may be; empty if it is no word.
    least, most: the smallest and the largest number that it may be; None for no limit.
    rules: the learning rules that know it; empty for all of them. Another rule refuses any value
        but the default, which would silently do nothing.
    usual: what it is by rule where none is given; None if its default does not depend on the rule.
    usual_from: what it is then where learning starts from a network; None for the same.
    option: its word on the command line, without dashes; empty for its own name.
    on_card: the command on a network's card names it even where it has its default.
    read: makes a value of the text on a command line; None where the text of the type will do.
    write: makes the text of a value; whatever it writes, `read` takes.
    """

    help: str
    called: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    rules: tuple[str, ...] = ()
    usual: Mapping[str, Any] | None = None
    usual_from: Any = None
    option: str = ""
    on_card: bool = False
    read: Callable[[str], Any] | None = None
    write: Callable[[Any], str] = str


def settings_of(declaration: type) -> dict[str, Setting]:
    """The settings that a dataclass declares, by the names of its fields, in their order."""
    found: dict[str, Setting] = {}
    for name, annotation in get_type_hints(declaration, include_extras=True).items():
        for told in getattr(annotation, "__metadata__", ()):
            if isinstance(told, Setting):
                found[name] = told
    return found


def default_of(owner: DataclassInstance, name: str, setting: Setting) -> Any:
    """What the setting `name` of `owner` is where nobody gives a value for it.

    owner: has a `rule` if the setting has a usual value for each.
    """
    if setting.usual_from is not None and cast("Any", owner).start is not None:
        return setting.usual_from
    if setting.usual:
        return setting.usual[cast("Any", owner).rule]
    return next(field.default for field in fields(owner) if field.name == name)


def file_name(path: str) -> str:
    """The name of a file without its folders, which a card need not tell."""
    return Path(path).name


def read_sizes(text: str) -> tuple[int, ...]:
    """The neurons of each layer from a list such as "128,64"; empty text is an empty list."""
    try:
        return tuple(int(number) for number in text.split(",")) if text.strip() else ()
    except ValueError:
        raise TrainingError(
            f"The option --hidden is {text!r}; give whole numbers with commas between, like 128,64."
        ) from None


def write_sizes(sizes: tuple[int, ...]) -> str:
    """The list that `read_sizes` reads."""
    return ",".join(map(str, sizes))


def read_weight_bits(text: str) -> int | str | tuple[int | str, ...]:
    """Bits per weight from a number or "ternary", for all layers, or a list such as "1,ternary,8",
    one for each layer.
    """
    try:
        kinds = tuple(
            word if word == TERNARY else int(word)
            for word in (word.strip() for word in text.split(","))
        )
    except ValueError:
        raise TrainingError(
            f"The option --weight-bits is {text!r}; give whole numbers or {TERNARY} with commas "
            "between, like 1,1,4."
        ) from None
    return kinds[0] if len(kinds) == 1 else kinds


def write_weight_bits(weight_bits: int | str | tuple[int | str, ...]) -> str:
    """The text that `read_weight_bits` reads; one word where all layers have the same."""
    kinds = weight_bits if isinstance(weight_bits, tuple) else (weight_bits,)
    return ",".join(map(str, kinds[:1] if len(set(kinds)) == 1 else kinds))
