"""A board for asyncio, over real sockets."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager

import numpy as np
import pytest
from PIL import Image

import peer
import stepnet
from peer import Peer, serving
from small_networks import small_network
from stepnet.boards.async_board import IMAGES_AHEAD
from stepnet.boards.board import Board
from stepnet.boards.image_stream import ImageStream
from stepnet.link.messages import Request
from stepnet.networks import reference

QUICK_S = 0.25


NETWORK = small_network()
IMAGES = np.random.default_rng(1).integers(0, 256, (40, 5, 6), dtype=np.uint8)
CODES = reference.infer(NETWORK, IMAGES).tolist()


@asynccontextmanager
async def opened(board_peer, **options):
    with serving(board_peer, "socket") as where:
        async with stepnet.open_board_async(where, NETWORK, **options) as board:
            yield board


async def each(images, pause_s=0.0):
    for image in images:
        await asyncio.sleep(pause_s)
        yield image


async def codes(readings):
    return [reading.code async for reading in readings]


def test_images_one_by_one_and_in_streams():
    async def main():
        async with opened(Peer()) as board:
            assert (await board.ainfer(IMAGES[0])).code == CODES[0]
            assert await codes(board.ainfer_many(IMAGES)) == CODES
            assert await codes(board.ainfer_many(each(IMAGES))) == CODES
            assert await codes(board.ainfer_many([])) == []
            assert await codes(board.ainfer_many(each([]))) == []
            assert board.statistics.images == 1 + 2 * len(IMAGES)
            assert board.network is NETWORK
            assert board.identity.loaded

    asyncio.run(main())


def test_many_tasks_at_once():
    async def main():
        async with opened(Peer()) as board:
            singles = [board.ainfer(image) for image in IMAGES]
            streams = [codes(board.ainfer_many(each(IMAGES))) for _ in range(3)]
            found = await asyncio.gather(*singles, *streams)
            assert [reading.code for reading in found[: len(IMAGES)]] == CODES
            assert found[len(IMAGES) :] == [CODES] * 3

    asyncio.run(main())


def test_another_network():
    other = small_network(seed=3)

    async def main():
        async with opened(Peer()) as board:
            await board.load(other)
            assert await codes(board.ainfer_many(IMAGES)) == reference.infer(other, IMAGES).tolist()

    asyncio.run(main())


def test_a_line_of_text():
    page = Image.new("L", (200, 60), 255)
    page.paste(0, (30, 20, 40, 45))
    page.paste(0, (120, 20, 130, 45))

    async def main():
        async with opened(Peer()) as board:
            assert len((await board.aread_text(page)).text.replace(" ", "")) == 2

    asyncio.run(main())


def test_the_event_loop_goes_on_while_a_board_is_silent():
    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        async with opened(peer.Falling(Request.INFER), timeout_s=QUICK_S) as board:
            ticking = asyncio.create_task(tick())
            with pytest.raises(TimeoutError):
                await board.ainfer(IMAGES[0])
            ticking.cancel()
        assert ticks > 5

    asyncio.run(main())


def test_readings_come_while_the_source_waits(monkeypatch):
    """All that were sent are read before the source goes on; then there is nothing to do."""
    steps = 0
    step = ImageStream.step

    def counted(stream):
        nonlocal steps
        steps += 1
        return step(stream)

    monkeypatch.setattr(ImageStream, "step", counted)

    async def main():
        read_all = asyncio.Event()

        async def images():
            for image in IMAGES[:5]:
                yield image
            await asyncio.wait_for(read_all.wait(), 20)
            await asyncio.sleep(0.2)
            yield IMAGES[5]

        found = []
        async with opened(Peer()) as board:
            async for reading in board.ainfer_many(images()):
                found.append(reading.code)
                if len(found) == 5:
                    read_all.set()
        assert found == CODES[:6]
        assert steps < 20

    asyncio.run(main())


def test_an_endless_source_is_not_read_far_ahead():
    async def main():
        taken = 0

        async def endless():
            nonlocal taken
            while True:
                for image in IMAGES:
                    taken += 1
                    yield image

        async with opened(Peer(buffer_bytes=100)) as board:
            readings = board.ainfer_many(endless())
            found = [(await anext(readings)).code for _ in range(200)]
            await readings.aclose()
        assert found == CODES * 5
        window = 100 // 11
        assert taken <= 200 + IMAGES_AHEAD + 2 * window

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
def test_a_source_that_raises(kind):
    def plain():
        yield from IMAGES[:25]
        raise ZeroDivisionError("the user's own")

    async def asynchronous():
        for image in plain():
            yield image

    found = []

    async def take(readings):
        async for reading in readings:
            found.append(reading.code)

    async def main():
        source = {"plain": plain, "asynchronous": asynchronous}[kind]()
        async with opened(Peer()) as board:
            with pytest.raises(ZeroDivisionError, match="the user's own"):
                await take(board.ainfer_many(source))
            assert found == CODES[:25]
            assert await codes(board.ainfer_many(IMAGES)) == CODES

    asyncio.run(main())


def test_a_task_that_is_cancelled_leaves_at_once_and_the_board_goes_on():
    class Waiting(Peer):
        released = threading.Event()

        def answer(self, payload):
            if payload[0] == Request.INFER:
                self.released.wait(20)
            return super().answer(payload)

    async def main():
        async with opened(Waiting()) as board:
            asking = [asyncio.create_task(board.ainfer(image)) for image in IMAGES[:3]]
            streaming = asyncio.create_task(codes(board.ainfer_many(each(IMAGES))))
            await asyncio.sleep(0.05)
            start_s = time.monotonic()
            for task in (*asking, streaming):
                task.cancel()
            ended = await asyncio.gather(*asking, streaming, return_exceptions=True)
            assert time.monotonic() - start_s < 2
            assert all(isinstance(each, asyncio.CancelledError) for each in ended)
            Waiting.released.set()
            assert await codes(board.ainfer_many(IMAGES)) == CODES
            await board.load(small_network(seed=3))  # nobody waits for an image any more

    asyncio.run(main())


def test_leaving_a_stream_early():
    async def main():
        async with opened(Peer()) as board:
            readings = board.ainfer_many(each(IMAGES))
            assert (await anext(readings)).code == CODES[0]
            await readings.aclose()
            await board.load(small_network(seed=3))

    asyncio.run(main())


def test_a_board_that_is_not_there():
    async def main():
        with pytest.raises(stepnet.LinkError, match="There is no port '/dev/nowhere'"):
            await stepnet.open_board_async("/dev/nowhere", NETWORK)

    asyncio.run(main())


def test_opening_that_is_cancelled_closes_what_it_opened(monkeypatch):
    closed = threading.Event()
    close = Board.close
    monkeypatch.setattr(Board, "close", lambda board: (close(board), closed.set()))

    class Sleeping(Peer):
        released = threading.Event()

        def receive(self, data):
            self.released.wait(20)
            return super().receive(data)

    async def main(where):
        opening = asyncio.ensure_future(open_it(where))
        await asyncio.sleep(0.1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        Sleeping.released.set()

    async def open_it(where):
        return await stepnet.open_board_async(where, NETWORK)

    with serving(Sleeping(), "socket") as where:
        asyncio.run(main(where))
        assert closed.wait(20)


def test_awaiting_instead_of_a_context():
    async def main():
        with serving(Peer(), "socket") as where:
            board = await stepnet.open_board_async(where, NETWORK)
            assert (await board.ainfer(IMAGES[0])).code == CODES[0]
            await board.close()
            await board.close()
            uses = [
                board.ainfer(IMAGES[0]),
                codes(board.ainfer_many(IMAGES)),
                codes(board.ainfer_many(each(IMAGES))),
                board.load(NETWORK),
                board.__aenter__(),
            ]
            for use in uses:
                with pytest.raises(stepnet.BoardError) as caught:
                    await use
                assert str(caught.value) == (
                    f"The board at {where!r} is closed; open it again with open_board."
                )

    asyncio.run(main())
