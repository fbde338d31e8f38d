# pyright: basic
# (torch publishes many functions without complete types)
"""The states of torch's tensors and optimisers as plain arrays, for checkpoints; where tensors lie;
and a limit on torch's threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from stepnet.errors import TrainingError
from stepnet.learning.learner import State


def device_of(name: str) -> torch.device:
    """The device of this name, "cpu" or "cuda"; TrainingError if this machine has none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "The device is cuda, but torch finds no GPU here; leave out --device, or install a "
            "torch that is built for the GPU."
        )
    return torch.device(name)


def move_tensors(owner: object, device: torch.device) -> None:
    """Let all tensors that are attributes of `owner` lie on `device`."""
    for name, tensor in vars(owner).items():
        if isinstance(tensor, Tensor):
            moved = tensor.detach().to(device).requires_grad_(tensor.requires_grad)
            setattr(owner, name, moved)


def tensors_state(tensors: Mapping[str, Tensor], prefix: str) -> State:
    """Copies of named tensors."""
    return {prefix + name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


@torch.no_grad()
def restore_tensors(tensors: Mapping[str, Tensor], state: State, prefix: str) -> None:
    """Write back what `tensors_state` copied."""
    for name, tensor in tensors.items():
        tensor.copy_(torch.from_numpy(state[prefix + name]))


def optimiser_state(optimiser: torch.optim.Optimizer, prefix: str) -> State:
    """Copies of what an optimiser remembers of each parameter; empty before its first step."""
    return {
        f"{prefix}{number}_{name}": tensor.cpu().numpy().copy()
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
