"""The folder of a training run: what it was told, what happened, and how to go on with it.

`stepnet train` opens one for every run; programs may give theirs to `stepnet.learning.train`.

    config.json      what decides the result: settings, data, versions
    log.jsonl        one line for each pass over the images
    checkpoint.npz   the learner after the last whole pass, until the run is done
    curves.png       loss and accuracy over the passes, if matplotlib is installed
    network.npz      the network
    result.json      how well it reads, how long it took

Every file appears whole or not at all, and is on the disk before the next one is begun; the
checkpoint carries log, description and a digest of it all. So a run that is stopped at any moment,
even by a loss of power, goes on from its last whole pass as if nothing had been.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from stepnet.archives import ArchiveError, read_arrays
from stepnet.data.sets import Dataset
from stepnet.errors import MissingToolError, TrainingError
from stepnet.files import read_text, write_text, write_whole
from stepnet.learning.config import Config
from stepnet.learning.learner import State, check_learnable, check_size, weight_count
from stepnet.networks.kinds import AnyNetwork
from stepnet.networks.network_file import content_digest

Record = dict[str, Any]
"""One line of the log: epoch, loss, accuracy, learning_rate, teaching, seconds, and
checked_accuracy where the network was measured after that pass."""

_STATE = "state_"
"""What the names of the learner's arrays begin with in the checkpoint."""

MADE = ("log.jsonl", "checkpoint.npz", "curves.png", "network.npz", "result.json")
"""What a run writes beside its description."""

MOST_JSON_BYTES = 1 << 20

STATE_BYTES_PER_WEIGHT = 64
STATE_BYTES_PER_PASS = 4096
STATE_BYTES_AT_LEAST = 16 << 20
"""What a checkpoint may take. For each weight a learner keeps the value and at most two moments,
its teacher as many, of 4 bytes each; and the record of a pass is some hundred characters."""

_DAMAGE = (ArchiveError, ValueError, KeyError, TypeError, IndexError, RecursionError)


class RunTakenError(TrainingError):
    """The folder holds what this run cannot go on with; another folder may do."""


@dataclass
class Run:
    """A run folder in use.

    folder: where it is.
    description: what decides the result, as config.json has it.
    records: one for each pass so far.
    state: the learner's state after these passes; None before the first.
    """

    folder: Path
    description: dict[str, Any]
    records: list[Record]
    state: State | None = None

    @classmethod
    def open(cls, folder: Path, config: Config, dataset: Dataset, about: dict[str, str]) -> Run:
        """Begin a run in `folder`, or take up the one of the same description that was stopped.

        about: what else people want to read in config.json, the network's name for instance.

        Raises RunTakenError if the folder holds a run of another description, a finished one, a
        damaged checkpoint or files of somebody else, and TrainingError if it cannot be made or
        nothing can be learned from `dataset`; that is found before anything is written.
        """
        check_learnable(dataset)
        check_size(config, dataset)
        run = cls(folder, _describe(config, dataset, about), [])
        told = folder / "config.json"
        try:
            if told.exists():
                most_bytes = _most_state_bytes(config, dataset)
                run._take_up(_read_description(read_text(told, MOST_JSON_BYTES)), most_bytes)
            else:
                run._check_free()
                folder.mkdir(parents=True, exist_ok=True)
                write_text(told, json.dumps(run.description, indent=2) + "\n")
        except OSError as error:
            raise TrainingError(
                f"The run folder {str(folder)!r} cannot be used ({error.strerror}); "
                "name another one with --run."
            ) from error
        except (ValueError, RecursionError):
            raise RunTakenError(
                f"The file {str(told)!r} is damaged; delete the folder {str(folder)!r}, or name "
                "another one with --run."
            ) from None
        return run

    def _check_free(self) -> None:
        """Refuse a folder with files of somebody else in the place of those that the run makes."""
        for name in MADE:
            if (self.folder / name).exists():
                raise RunTakenError(
                    f"The folder {str(self.folder)!r} holds a {name} that no run there has made; "
                    "name another folder with --run."
                )

    def _take_up(self, told: dict[str, Any], most_bytes: int) -> None:
        if (other := _other_entry(told, self.description)) is not None:
            key, theirs, ours = other
            raise RunTakenError(
                f"The run in {str(self.folder)!r} was begun with {key} {theirs!r} instead of "
                f"{ours!r}; go on with the command it was begun with, or name another "
                "folder with --run."
            )
        if (self.folder / "result.json").exists():
            raise RunTakenError(
                f"The run in {str(self.folder)!r} is done; look at its network.npz, or name "
                "another folder with --run."
            )
        checkpoint = self.folder / "checkpoint.npz"
        if not checkpoint.exists():
            return
        try:
            # Written without packing, so that it cannot become more than it is.
            content = read_arrays(checkpoint, most_bytes, packed=False)
            digest, description, records = (
                str(content.pop(name)[()]) for name in ("digest", "description", "records")
            )
            if content_digest(description + records, content) != digest:
                raise ValueError("The digest is of another content.")
            kept_of = _read_description(description)
            self.records = _read_records(records)
            self.state = {key.removeprefix(_STATE): value for key, value in content.items()}
        except _DAMAGE as error:
            raise self.damaged() from error
        if (other := _other_entry(kept_of, self.description)) is not None:
            key, theirs, ours = other
            raise RunTakenError(
                f"The checkpoint {str(checkpoint)!r} is of a run with {key} {theirs!r} instead of "
                f"{ours!r}; delete it and the run begins anew."
            )

    @property
    def seconds(self) -> float:
        """How many seconds the passes took so far."""
        return sum(record["seconds"] for record in self.records)

    def damaged(self) -> RunTakenError:
        """What to raise for a checkpoint that is none, or that no learner takes up."""
        checkpoint = self.folder / "checkpoint.npz"
        return RunTakenError(
            f"The checkpoint {str(checkpoint)!r} is damaged; delete it and the run begins anew."
        )

    def keep(self, record: Record, state: State) -> None:
        """Add the record of a pass, and keep the learner's state after it.

        Raises TrainingError if that cannot be written; the checkpoint before it stays.
        """
        self.records.append(record)
        self.state = state
        log = "".join(json.dumps(record) + "\n" for record in self.records)
        description, records = json.dumps(self.description), json.dumps(self.records)
        arrays: dict[str, Any] = {_STATE + key: value for key, value in state.items()}
        digest = content_digest(description + records, arrays)

        def write_checkpoint(file: BinaryIO) -> None:
            texts = {"digest": digest, "description": description, "records": records}
            np.savez(
                file,
                allow_pickle=False,
                **{name: np.array(text) for name, text in texts.items()},
                **arrays,
            )

        self._write(lambda: write_text(self.folder / "log.jsonl", log))
        self._write(lambda: write_whole(self.folder / "checkpoint.npz", write_checkpoint))

    def finish(self, network: AnyNetwork, result: dict[str, Any]) -> None:
        """Write network, curves and result; the checkpoint goes.

        Where matplotlib is not installed there are no curves; all they show is in the log.

        Raises NetworkError, PictureError or TrainingError if something cannot be written; the
        checkpoint stays then.
        """
        from stepnet import plots

        network.save(self.folder / "network.npz")
        with contextlib.suppress(MissingToolError):
            plots.curves(self.records, self.folder / "curves.png", network.name)
        told = json.dumps(result, indent=2) + "\n"
        self._write(lambda: write_text(self.folder / "result.json", told))
        self._write(lambda: (self.folder / "checkpoint.npz").unlink(missing_ok=True))

    def _write(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            raise TrainingError(
                f"The run folder {str(self.folder)!r} cannot be written ({error.strerror}); make "
                "room there, and the same command goes on after its last whole pass."
            ) from error


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


def _read_records(text: str) -> list[Record]:
    """The records of a checkpoint; ValueError or KeyError if they are none."""
    records = json.loads(text)
    if not isinstance(records, list):
        raise ValueError("The records are no list.")
    for record in cast(list[Any], records):
        float(record["seconds"])
    return cast(list[Record], records)


def _most_state_bytes(config: Config, dataset: Dataset) -> int:
    """What a checkpoint of a run may take at most."""
    weights = weight_count(config, dataset)
    return (
        STATE_BYTES_AT_LEAST
        + STATE_BYTES_PER_WEIGHT * weights
        + STATE_BYTES_PER_PASS * config.passes
    )


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
