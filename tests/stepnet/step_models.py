"""Models under training, at random, and the networks that they become."""

import torch

from stepnet import Network
from stepnet.learning import step_model
from stepnet.learning.config import Config
from stepnet.networks.network import Readout

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def random_model(
    sizes, weight_bits, readout=Readout.BITS, alphabet="0123456789", seed=0, convolutions=()
):
    """A model as training might leave it, with scales of both signs and some of 0.

    sizes: inputs, or height and width of the image as a pair, and then the hidden layers.
    """
    generator = torch.Generator().manual_seed(seed)
    n_in, *hidden = sizes
    height, width = n_in if isinstance(n_in, tuple) else (1, n_in)
    config = Config(
        convolutions=convolutions, hidden=tuple(hidden), weight_bits=weight_bits, readout=readout
    )
    model = step_model.StepModel(config, height, width, alphabet, generator)
    with torch.no_grad():
        for layer in model.layers:
            if isinstance(layer, step_model.ScoreLayer):
                layer.offset.normal_(0, 0.3, generator=generator)
                continue
            layer.scale.normal_(generator=generator)
            layer.scale[::5] = 0
            layer.clip()
            layer.shift.normal_(generator=generator)
    return model


def as_network(model, height, width):
    return Network(
        "exported",
        model.export(),
        height=height,
        width=width,
        readout=model.lesson.readout,
        alphabet=model.lesson.targets.alphabet,
        code_prefix=model.lesson.targets.code_prefix,
    )
