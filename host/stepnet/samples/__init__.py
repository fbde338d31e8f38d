"""Samples of real handwriting for demonstrations: see ATTRIBUTION.md beside the pictures."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def sample_pictures() -> list[tuple[Path, str]]:
    """Every sample's PNG file (28 x 28, grey, bright ink) and the character it shows.

    Sorted by file name: the character, then the sample's index in its data set.
    """
    return [(path, path.stem.partition("_")[0]) for path in sorted(_FOLDER.glob("*.png"))]
