"""The board that all tabs share, without a board: nobody listens where it looks."""

import asyncio

import numpy as np

from stepnet.errors import BoardError
from stepnet.networks.random_networks import random_network
from stepnet.web.station import Condition, Station

FIRST, SECOND = "socket://127.0.0.1:1", "socket://127.0.0.1:2"


def network(name):
    return random_network(np.random.default_rng(0), (784, 12, 7), height=28, name=name)


def test_of_two_choices_at_a_time_each_counts():
    async def choose_both():
        station = Station([FIRST, SECOND], FIRST, network("old"), timeout_s=0.2)
        outcomes = await asyncio.gather(
            station.choose(where=SECOND),
            station.choose(network=network("new")),
            return_exceptions=True,
        )
        assert all(isinstance(outcome, BoardError) for outcome in outcomes)
        return station

    station = asyncio.run(choose_both())
    assert (station.where, station.network.name) == (SECOND, "new")
    assert station.condition is Condition.LOST
