"""The folder of a training run: what it was told, what happened, and how to go on with it.

    config.json      what decides the result: settings, data, versions
    log.jsonl        one line for each pass over the images
    checkpoint.npz   the learner after the last whole pass, until the run is done
    curves.png       loss and accuracy over the passes, if matplotlib is installed
    network.npz      the network
    result.json      how well it reads, how long it took

Every file appears whole or not at all, and the checkpoint carries log and description. So a run
that is stopped at any moment, even by the machine, goes on from its last whole pass as if nothing
had been.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import platform
import struct
import zipfile
import zlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np

from stepnet.data.sets import Dataset
from stepnet.errors import MissingToolError, TrainingError
from stepnet.files import write_text, write_whole
from stepnet.learning.config import Config
from stepnet.learning.learner import State, check_learnable
from stepnet.networks.network import Network
from stepnet.networks.sigmoid import SigmoidNetwork

Record = dict[str, Any]
"""One line of the log: epoch, loss, accuracy, learning_rate, teaching, seconds, and
checked_accuracy where the network was measured after that pass."""

_STATE = "state_"
"""What the names of the learner's arrays begin with in the checkpoint."""

_DAMAGE = (ValueError, KeyError, EOFError, TypeError, struct.error, zipfile.BadZipFile, zlib.error)


@dataclass
class Run:
    """A run folder in use.

    folder: where it is. description: what decides the result, as config.json has it.
    records: of the passes so far. state: of the learner after them; None before the first.
    """

    folder: Path
    description: dict[str, Any]
    records: list[Record]
    state: State | None = None

    @classmethod
    def open(cls, folder: Path, config: Config, dataset: Dataset, about: dict[str, str]) -> Run:
        """Begin a run in `folder`, or take up the one of the same description that was stopped.

        about: what else people want to read in config.json, the network's name for instance.

        Raises TrainingError if the folder holds a run of another description, a finished one, or a
        damaged checkpoint, or cannot be made; and before anything is written if nothing can be
        learned from `dataset`.
        """
        check_learnable(dataset)
        run = cls(folder, _describe(config, dataset, about), [])
        told = folder / "config.json"
        try:
            if told.exists():
                run._take_up(_read_description(told.read_text(encoding="utf-8")))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                write_text(told, json.dumps(run.description, indent=2) + "\n")
        except OSError as error:
            raise TrainingError(
                f"The run folder {str(folder)!r} cannot be used ({error.strerror}); "
                "name another one with --run."
            ) from error
        except ValueError:
            raise TrainingError(
                f"The file {str(told)!r} is damaged; delete the folder {str(folder)!r}, or name "
                "another one with --run."
            ) from None
        return run

    def _take_up(self, told: dict[str, Any]) -> None:
        if (other := _other_entry(told, self.description)) is not None:
            key, theirs, ours = other
            raise TrainingError(
                f"The run in {str(self.folder)!r} was begun with {key} {theirs!r} instead of "
                f"{ours!r}; go on with the command it was begun with, or name another "
                "folder with --run."
            )
        if (self.folder / "result.json").exists():
            raise TrainingError(
                f"The run in {str(self.folder)!r} is done; look at its network.npz, or name "
                "another folder with --run."
            )
        checkpoint = self.folder / "checkpoint.npz"
        if not checkpoint.exists():
            return
        try:
            with np.load(checkpoint, allow_pickle=False) as file:
                content = {key: file[key] for key in file.files}
            kept_of = _read_description(str(content.pop("description")[()]))
            self.records = json.loads(str(content.pop("records")[()]))
            self.state = {key.removeprefix(_STATE): value for key, value in content.items()}
        except _DAMAGE as error:
            raise TrainingError(
                f"The checkpoint {str(checkpoint)!r} is damaged; delete it and the run begins anew."
            ) from error
        if (other := _other_entry(kept_of, self.description)) is not None:
            key, theirs, ours = other
            raise TrainingError(
                f"The checkpoint {str(checkpoint)!r} is of a run with {key} {theirs!r} instead of "
                f"{ours!r}; delete it and the run begins anew."
            )

    @property
    def seconds(self) -> float:
        """How long the passes took so far."""
        return sum(record["seconds"] for record in self.records)

    def keep(self, record: Record, state: State) -> None:
        """Add the record of a pass, and keep the learner's state after it."""
        self.records.append(record)
        self.state = state
        write_text(self.folder / "log.jsonl", "".join(json.dumps(r) + "\n" for r in self.records))
        arrays = {_STATE + key: value for key, value in state.items()}
        write_whole(
            self.folder / "checkpoint.npz",
            lambda file: np.savez(
                file,
                allow_pickle=False,
                description=np.array(json.dumps(self.description)),
                records=np.array(json.dumps(self.records)),
                **arrays,
            ),
        )

    def finish(self, network: Network | SigmoidNetwork, result: dict[str, Any]) -> None:
        """Write network, curves and result; the checkpoint goes.

        Where matplotlib is not installed there are no curves; all they show is in the log.
        """
        from stepnet import plots

        network.save(self.folder / "network.npz")
        with contextlib.suppress(MissingToolError):
            plots.curves(self.records, self.folder / "curves.png", network.name)
        write_text(self.folder / "result.json", json.dumps(result, indent=2) + "\n")
        (self.folder / "checkpoint.npz").unlink(missing_ok=True)


def _describe(config: Config, dataset: Dataset, about: dict[str, str]) -> dict[str, Any]:
    """What decides the result, as JSON has it."""
    digest = hashlib.sha256(dataset.images.tobytes())
    digest.update(dataset.labels.tobytes())
    description = {
        "about": about,
        "config": dataclasses.asdict(config),
        "learned": {
            "images": len(dataset),
            "alphabet": dataset.alphabet,
            "sha256": digest.hexdigest(),
        },
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": _version("torch") if config.rule != "delta" else None,
        },
    }
    return cast(dict[str, Any], json.loads(json.dumps(description)))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read_description(text: str) -> dict[str, Any]:
    """A description from JSON; ValueError if the text is none."""
    description = json.loads(text)
    if not isinstance(description, dict):
        raise ValueError(f"A description is no {type(description).__name__}.")
    return cast(dict[str, Any], description)


def _other_entry(theirs: dict[str, Any], ours: dict[str, Any]) -> tuple[str, Any, Any] | None:
    """The first entry of our description that is another in theirs: its name, theirs and ours."""
    told = _flat(theirs)
    for key, value in _flat(ours).items():
        if told.get(key) != value:
            return key, told.get(key), value
    return None


def _flat(description: dict[str, Any]) -> dict[str, Any]:
    """The entries of a description and of the groups in it, by their own names."""
    entries: dict[str, Any] = {}
    for key, value in description.items():
        if isinstance(value, dict):
            entries.update(cast(dict[str, Any], value))
        else:
            entries[key] = value
    return entries
