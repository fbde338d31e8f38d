"""Turns at the board: fair between tabs, and never lost."""

import asyncio

import pytest

from stepnet.errors import BoardError
from stepnet.web.turns import MOST_WAITING, Turns


async def ask(turns, who, served, times=1):
    for _ in range(times):
        async with turns.turn(who):
            served.append(who)
            await asyncio.sleep(0)


def test_a_long_line_does_not_keep_another_tab_waiting():
    async def run():
        turns, served = Turns(), []
        await asyncio.gather(*(ask(turns, who, served, 6) for who in "abc"))
        return "".join(served)

    served = asyncio.run(run())
    assert len(served) == 18
    # From the moment on that all wait, each of them has every third turn.
    rounds = {served[start : start + 3] for start in range(2, 14, 3)}
    assert len(rounds) == 1
    assert sorted(rounds.pop()) == ["a", "b", "c"]


def test_requests_of_one_tab_count_as_one():
    async def run():
        turns, served = Turns(), []
        await asyncio.gather(*(ask(turns, who, served) for who in "aaaaab"))
        return "".join(served)

    assert asyncio.run(run()).index("b") <= 2


def test_who_leaves_gives_its_turn_on():
    async def run():
        turns, served = Turns(), []
        async with turns.turn("a"):
            leaving = [asyncio.create_task(ask(turns, who, served)) for who in "bc"]
            staying = asyncio.create_task(ask(turns, "d", served))
            await asyncio.sleep(0)
            leaving[0].cancel()
        # The turn is c's now, who leaves before it wakes.
        leaving[1].cancel()
        await asyncio.wait_for(staying, 5)
        await asyncio.wait_for(ask(turns, "e", served), 5)
        return "".join(served)

    assert asyncio.run(run()) == "de"


def test_no_more_wait_than_may():
    async def run():
        turns = Turns()
        async with turns.turn("a"):
            waiting = [asyncio.create_task(ask(turns, str(who), [])) for who in range(MOST_WAITING)]
            await asyncio.sleep(0)
            with pytest.raises(BoardError) as refused:
                await ask(turns, "late", [])
        await asyncio.gather(*waiting)
        return str(refused.value)

    sentence = "64 requests wait for the board already; try again in a moment."
    assert asyncio.run(run()) == sentence
