# pyright: basic
# (torch publishes many functions without complete types)
"""A teacher for step networks: a small convolutional network that sees grey values.

Its answers are softer than labels: that an image may be an `s` or an `S`, and how surely. A step
network that learns from them learns more than from labels alone (distillation: Hinton, Vinyals and
Dean, arXiv:1503.02531). The teacher is trained on the same images and thrown away afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = (16, 32, 64)
"""Channels of each convolution; pooling over 2 x 2 pixels follows each."""

FEATURES = 256
"""Neurons between the convolutions and the characters."""

LEARNING_RATE = 0.003
"""The peak of AdamW's learning rate."""

WEIGHT_DECAY = 0.02

TEMPERATURE = 0.5
"""What scores are divided by before they become chances. Below 1 the teacher makes up its mind:
where an image may be an `O` or a `0`, bits that are each the likelier one would spell neither."""


class Teacher:
    """A convolutional network under training, and its answers once it is trained.

    network: the module. optimiser: moves it.
    """

    def __init__(
        self, height: int, width: int, characters: int, generator: torch.Generator
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            # Modules draw their first weights from torch's own generator; ours follow below.
            self.network = _modules(height, width, characters)
        for module in self.network:
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )

    def learn(self, images: Tensor, indices: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        """One step on one batch; returns its loss and which images were right before it.

        images: (N, height, width) grey values 0 to 255. indices: (N,) places in the alphabet.
        rate: factor on the learning rate.
        """
        self.network.train()
        scores = self.network(images[:, None] / 255)
        loss = nn.functional.cross_entropy(scores, indices)
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * rate
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach(), scores.argmax(dim=1) == indices

    @torch.no_grad()
    def chances(self, images: Tensor) -> Tensor:
        """How probable each character is: (N, characters) from images as in `learn`."""
        self.network.eval()
        return torch.softmax(self.network(images[:, None] / 255) / TEMPERATURE, dim=1)


def _modules(height: int, width: int, characters: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels_in, channels_out in zip((1, *CHANNELS), CHANNELS, strict=False):
        layers += [
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
        height, width = -(-height // 2), -(-width // 2)
    layers += [
        nn.Flatten(),
        nn.Linear(CHANNELS[-1] * height * width, FEATURES, bias=False),
        nn.BatchNorm1d(FEATURES),
        nn.ReLU(),
        nn.Linear(FEATURES, characters),
    ]
    return nn.Sequential(*layers)
