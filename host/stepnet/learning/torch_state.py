# pyright: basic
# (torch publishes many functions without complete types)
"""The states of torch's tensors and optimisers as plain arrays, for checkpoints; and a limit on its
threads.
"""

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
    """Copies of what an optimiser remembers of each parameter; empty before its first step."""
    return {
        f"{prefix}{number}_{name}": tensor.numpy().copy()
        for number, remembered in optimiser.state_dict()["state"].items()
        for name, tensor in remembered.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, state: State, prefix: str) -> None:
    """Give back what `optimiser_state` copied. The learning rate is not part of it."""
    remembered: dict[int, dict[str, Tensor]] = {}
    for key, array in state.items():
        if key.startswith(prefix):
            number, _, name = key.removeprefix(prefix).partition("_")
            remembered.setdefault(int(number), {})[name] = torch.from_numpy(array.copy())
    content = optimiser.state_dict()
    optimiser.load_state_dict({**content, "state": remembered})


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads until the end of the `with` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
