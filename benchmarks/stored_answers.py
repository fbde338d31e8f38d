"""Answers of a network's first layers to images, kept in a file: what its last layers learn from,
and the steps of a script that makes them and learns.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepnet.data.sets import Dataset
from stepnet.learning.fixed_layers import answers
from stepnet.networks.network import Network

Arrays = dict[str, NDArray[np.uint8]]
"""What a file keeps, by name: of each kind of images the answers, packed to bits, and labels."""


def answers_to(kind: str, dataset: Dataset, network: Network, count: int) -> Arrays:
    """What layer `count` - 1 answers to images, (N, 1, bytes), and their labels, (N,)."""
    fires = answers(network, count, dataset.images)
    return {kind: np.packbits(fires > 0, axis=2), _labels_of(kind): dataset.labels}


def write_answers(output: Path, found: Arrays) -> None:
    """Write the file."""
    # numpy has a flag of its own among the names of the arrays.
    np.savez_compressed(output, allow_pickle=False, **found)


def read_answers(source: Path, width: int) -> dict[str, Dataset]:
    """The answers by their kind, as images of one row of `width` pixels."""
    stored = np.load(source)
    return {
        kind: Dataset(
            np.unpackbits(stored[kind], axis=2, count=width) * np.uint8(255),
            stored[_labels_of(kind)],
        )
        for kind in stored
        if _labels_of(kind) in stored
    }


def _labels_of(kind: str) -> str:
    return f"{kind} labels"


def parsers(
    description: str,
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, argparse.ArgumentParser]:
    """The whole parser, and those of its steps `answers` and `learn`, with what both are told."""
    whole = argparse.ArgumentParser(description=description)
    steps = whole.add_subparsers(dest="step", required=True)
    first, second = steps.add_parser("answers"), steps.add_parser("learn")
    second.add_argument("--answers", type=Path, required=True)
    for step in (first, second):
        step.add_argument("--network", required=True, help="shipped name or .npz")
        step.add_argument("--data-dir", help="folder of the data sets")
        step.add_argument("--output", type=Path, required=True)
    return whole, first, second
