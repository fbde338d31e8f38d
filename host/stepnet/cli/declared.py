"""A command whose options are the fields of a dataclass, for commands that have many.

`command` makes the function that typer takes. `words` is its inverse: the words of a command line
that decides the same. Each option is declared once, in the annotation of its field: by a `Setting`
if it decides the result, else by a `typer.Option`. A field that is a dataclass itself stands for
its own fields.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    TypeGuard,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

import typer

from stepnet.learning.settings import Setting, default_of, settings_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


def command(
    name: str, declaration: type[Options], run: Callable[[Options], None]
) -> Callable[..., None]:
    """A function of this name as `typer.Typer.command` takes it.

    It makes a `declaration` of its options and gives that to `run`, whose docstring it has.
    """

    def function(**values: Any) -> None:
        run(_made(declaration, values))

    function.__name__, function.__doc__ = name, run.__doc__
    function.__module__ = run.__module__
    function.__annotations__ = {}
    function.__signature__ = inspect.Signature(list(_parameters(declaration)))
    return function


def words(options: DataclassInstance) -> list[str]:
    """The options of a command line that has the same settings, as words; flags come last.

    Settings that are as they are by default are left out unless they are marked `on_card`.
    """
    pairs: list[str] = []
    flags: list[str] = []
    for owner, name, setting in _settings(options):
        if setting.rules and getattr(owner, "rule", None) not in setting.rules:
            continue  # it means nothing to this rule
        value, default = getattr(owner, name), default_of(owner, name, setting)
        if isinstance(value, bool):
            flags += [_option(name, setting)] if value else []
        elif setting.on_card or value not in (None, default):
            pairs += [_option(name, setting), setting.write(default if value is None else value)]
    return [*pairs, *flags]


def _settings(
    options: DataclassInstance,
) -> Iterator[tuple[DataclassInstance, str, Setting]]:
    """Every setting in a dataclass: which dataclass holds it, its name and its declaration."""
    settings = settings_of(type(options))
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _settings(value)
        elif field.name in settings:
            yield options, field.name, settings[field.name]


def _parameters(declaration: type[DataclassInstance]) -> Iterator[inspect.Parameter]:
    """The options of all fields, as typer reads them."""
    hints = get_type_hints(declaration, include_extras=True)
    settings = settings_of(declaration)
    for field in dataclasses.fields(declaration):
        annotation, default = hints[field.name], field.default
        if default is dataclasses.MISSING:
            default = inspect.Parameter.empty
        if _is_declaration(annotation):
            yield from _parameters(annotation)
            continue
        if setting := settings.get(field.name):
            option = typer.Option(_option(field.name, setting), help=setting.help)
            annotation = Annotated[_type_on_command_line(annotation, setting), option]
            if setting.read and default is not None:
                default = setting.write(default)
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )


def _type_on_command_line(annotation: Any, setting: Setting) -> Any:
    """The type that typer is to read: text where the setting itself says what may be there."""
    if setting.read or setting.choices:
        return str | None
    assert get_origin(annotation) is Annotated
    return get_args(annotation)[0]


def _made(declaration: type[Options], values: Mapping[str, Any]) -> Options:
    """The dataclass with these values for its fields and for those of the dataclasses in it."""
    hints = get_type_hints(declaration)
    settings = settings_of(declaration)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(declaration):
        if _is_declaration(hint := hints[field.name]):
            fields[field.name] = _made(hint, values)
            continue
        value = values[field.name]
        setting = settings.get(field.name)
        read = setting.read if setting else None
        fields[field.name] = read(value) if read and value is not None else value
    return declaration(**fields)


def _is_declaration(annotation: Any) -> TypeGuard[type[DataclassInstance]]:
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def _option(name: str, setting: Setting) -> str:
    return f"--{(setting.option or name).replace('_', '-')}"
