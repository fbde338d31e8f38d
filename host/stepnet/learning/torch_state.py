# pyright: basic
# (torch publishes many functions without complete types)
"""States of torch as plain arrays, and torch's threads for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from stepnet.learning.learner import State


def tensors_state(tensors: Mapping[str, Tensor], prefix: str) -> State:
    """Copies of named tensors."""
    return {prefix + name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


@torch.no_grad()
def restore_tensors(tensors: Mapping[str, Tensor], state: State, prefix: str) -> None:
    """Write back what `tensors_state` copied."""
    for name, tensor in tensors.items():
        tensor.copy_(torch.from_numpy(state[prefix + name]))


def optimiser_state(optimiser: torch.optim.Optimizer, prefix: str) -> State:
    """Copies of what an optimiser remembers of each parameter; nothing before its first step."""
    return {
        f"{prefix}{number}_{name}": tensor.numpy().copy()
        for number, remembered in optimiser.state_dict()["state"].items()
        for name, tensor in remembered.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, state: State, prefix: str) -> None:
    """Give back what `optimiser_state` copied; rates are the schedule's matter."""
    remembered: dict[int, dict[str, Tensor]] = {}
    for key, array in state.items():
        if key.startswith(prefix):
            number, _, name = key.removeprefix(prefix).partition("_")
            remembered.setdefault(int(number), {})[name] = torch.from_numpy(array.copy())
    content = optimiser.state_dict()
    optimiser.load_state_dict({**content, "state": remembered})


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
