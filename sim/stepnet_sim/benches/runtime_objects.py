"""Verilator's runtime, compiled once for all benches: it takes longer than what they test.

Every simulation that cocotb drives is linked with the same objects, and Verilator compiles them
anew in each build folder. They are kept in the user's cache and copied from there, so that make
finds them up to date.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from stepnet_hdl.flow.cache import Cache
from stepnet_sim.chips.verilated import compiler_version

OBJECTS = "verilated*.o"
"""The files of the runtime in a build folder. None of them knows the component."""

AHEAD_S = 600.0
"""How far in the future the time of a copied object lies: Verilator's makefile has it depend on the
makefile itself, which Verilator writes after the copy was made."""


def give_runtime(build_dir: Path, options: Iterable[str]) -> None:
    """Copy the objects that a build with these options needs into its folder, if they were kept;
    otherwise remove those that are there, which may be of other options."""
    for path in build_dir.glob(OBJECTS):
        path.unlink()
    if (kept := _cache().entry(_digest(options))) is None:
        return
    ahead_s = time.time() + AHEAD_S
    for path in kept.glob(OBJECTS):
        copy = build_dir / path.name
        shutil.copyfile(path, copy)
        os.utime(copy, (ahead_s, ahead_s))


def keep_runtime(build_dir: Path, options: Iterable[str]) -> None:
    """Keep the objects of a build with these options, if they were not kept before."""
    cache, digest = _cache(), _digest(options)
    if cache.entry(digest) is not None:
        return

    def fill(folder: Path) -> None:
        for path in build_dir.glob(OBJECTS):
            shutil.copyfile(path, folder / path.name)

    cache.add(digest, fill)


def _cache() -> Cache:
    root = platformdirs.user_cache_path("stepnet")
    return Cache(root / "bench_runtime", root)


def _digest(options: Iterable[str]) -> str:
    decisive = [importlib.metadata.version("verilator"), compiler_version(), platform.machine()]
    return hashlib.sha256("\0".join([*decisive, *options]).encode()).hexdigest()[:32]
