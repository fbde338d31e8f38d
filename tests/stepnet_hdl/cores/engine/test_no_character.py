"""Code 0, the answer for images that show no character, under each readout in the engine."""

import numpy as np
import pytest

from engine_ports import load_network, packed, run, send_pixels, take_reading
from stepnet import Layer, Network
from stepnet.boards.reading import reader
from stepnet.cores.engine.shape import EngineShape
from stepnet.learning.targets import Targets
from stepnet.link.messages import READING, Answer
from stepnet.networks import reference
from stepnet.networks.network import Readout
from stepnet_hdl.cores.engine.engine import Engine

LEARNED = "\0?@AZ"
"""Characters without a bit in common, so that with readout bits all bits have to stay 0."""


def network_of(readout):
    """One input for each character learned, and an image that shows it for each."""
    targets = Targets.of(readout, LEARNED)
    wanted = targets.wanted[:, targets.trained_rows].T
    last = targets.complete(Layer(wanted, np.ones(len(wanted)), 2))
    return Network(
        "none",
        (last,),
        height=1,
        width=len(LEARNED),
        readout=readout,
        alphabet=targets.answered,
        code_prefix=targets.code_prefix,
    )


@pytest.mark.parametrize("readout", Readout)
def test_the_engine_answers_code_0_and_the_host_says_unknown(readout):
    network = network_of(readout)
    images = np.eye(len(LEARNED), dtype=np.bool_)[:, np.newaxis]
    engine = Engine(EngineShape(8, max_inputs=128, weight_words=512, parameter_words=256))
    payloads = []

    async def drive(ctx):
        await load_network(ctx, engine, network)
        for pixels in packed(network, images):
            await send_pixels(ctx, engine, pixels)
            reading = await take_reading(ctx, engine)
            numbers = {"code": reading.code, "margin": reading.margin, "cycles": reading.cycles}
            payloads.append(READING.pack(kind=Answer.READING, sequence=0, **numbers))

    run(engine, drive)
    readings = list(map(reader(network), payloads))
    assert [reading.code for reading in readings] == list(map(ord, LEARNED))
    assert [reading.character for reading in readings] == [None, *LEARNED[1:]]
    assert [reading.known for reading in readings] == [False, True, True, True, True]
    assert [reading.margin for reading in readings] == reference.margin(network, images).tolist()
