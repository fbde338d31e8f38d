"""A board in Python at the other end of a real channel, and boards that go wrong.

`with serving(Peer()) as where:` gives the port to open. A peer is a `BoardModel` behind frames; it
computes readings from the bytes in its two memories alone, with `engine_memory`.
"""

import os
import pty
import random
import select
import socket
import threading
import tty
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import serial.rfc2217

import engine_memory
from stepnet.boards.model import BoardModel, CoreReading, EngineModel
from stepnet.cores.engine.shape import EngineShape
from stepnet.link import messages as protocol
from stepnet.link.frames import BUFFER_OVERHEAD_BYTES, CRC_BYTES, FrameReader, encode_frame
from stepnet.link.messages import Answer, Request

CYCLES = 321
MARGIN = 5
"""What a peer says of every image."""

CLOCK_HZ = 12_000_000

IDLE_S = 0.02


class HangUpError(Exception):
    """The peer wants the channel closed."""


class Peer(BoardModel):
    """A board that does as it should. Faulty ones override `receive`, `answer`, `load`, `code` or
    `identity`.

    requests: the kind of every request that came, in order.
    """

    def __init__(self, shape=None, buffer_bytes=2048):
        self.engine = EngineModel(
            shape or EngineShape(16, 1024, 4096, 512),
            lambda digest, image: CoreReading(self.code(image), MARGIN, CYCLES),
        )
        super().__init__(self.engine, buffer_bytes=buffer_bytes, clock_hz=CLOCK_HZ)
        self.requests = []
        self.frames = FrameReader()

    @property
    def shape(self):
        return self.engine.shape

    def receive(self, data):
        """The bytes that it sends in reply to `data`; b"" was a moment of silence."""
        return b"".join(self.answer(payload) for payload in self.frames.feed(data))

    def answer(self, payload):
        """The bytes that answer one good frame."""
        self.requests.append(Request(payload[0]))
        self.dropped_frames = self.frames.dropped
        return encode_frame(self.answer_to(payload))

    def code(self, image):
        parameters, weights = map(bytes, self.engine.memories.values())
        return engine_memory.run(parameters, weights, self.shape, image)


def acknowledgement(sequence):
    return encode_frame(protocol.ACKNOWLEDGE.pack(kind=Answer.ACKNOWLEDGE, sequence=sequence))


def refusal(sequence, reason):
    return encode_frame(
        protocol.REFUSAL.pack(kind=Answer.REFUSAL, sequence=sequence, reason=reason)
    )


def reading(sequence, code, margin=MARGIN):
    return encode_frame(
        protocol.READING.pack(
            kind=Answer.READING, sequence=sequence, code=code, margin=margin, cycles=CYCLES
        )
    )


class Silent(Peer):
    """Never says anything.

    heard: all that came.
    """

    heard = b""

    def receive(self, data):
        self.heard += data
        return b""


class Echo(Peer):
    """Gives back what it is sent, as a port does whose TX and RX are joined."""

    def receive(self, data):
        return data


class Nonsense(Peer):
    """Answers with noise, as a port at the wrong baud rate does."""

    noise = random.Random(0)

    def receive(self, data):
        return self.noise.randbytes(40) if data else b""


class Chatterer(Peer):
    """Never answers, and never stops sending good frames that nobody asked for."""

    def receive(self, data):
        return b"".join(reading(sequence, 0) for sequence in range(20_000, 20_020))


class Falling(Peer):
    """Falls silent when the first request of `kind` comes."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def answer(self, payload):
        if payload[0] == self.kind or self.kind in self.requests:
            self.requests.append(Request(payload[0]))
            return b""
        return super().answer(payload)


class Leaving(Peer):
    """Closes the channel when the first image comes."""

    def answer(self, payload):
        if payload[0] == Request.INFER:
            raise HangUpError
        return super().answer(payload)


class LeavingOnce(Peer):
    """Closes the channel when image number `at` comes, and perhaps forgets its network."""

    def __init__(self, at, *, forgets=False):
        super().__init__()
        self.at, self.forgets = at, forgets

    def answer(self, payload):
        if payload[0] == Request.INFER and self.requests.count(Request.INFER) == self.at:
            self.at = None
            if self.forgets:
                self.start()
            raise HangUpError
        return super().answer(payload)


class Resetting(Peer):
    """Forgets everything when image number `at` comes, and what else came with that image."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def answer(self, payload):
        if payload[0] == Request.INFER and self.requests.count(Request.INFER) == self.at:
            self.at = None
            self.reset()
            return b""
        return super().answer(payload)

    def reset(self):
        self.start()


class BuiltIn(Resetting):
    """Has a network from the start, which is there again after the reset.

    image: its `MemoryImage`.
    """

    def __init__(self, image, at=None):
        super().__init__(at)
        self.engine.shape = image.shape
        self.image = image
        self.reset()

    def reset(self):
        for load in self.image.loads(max_bytes=1 << 20):
            self.engine.load(load.space, load.address, load.words)
        self.start(self.image.digest)


class Refusing(Peer):
    """Refuses the first `times` requests of one kind.

    together: refusals wait until so many of these requests have come.
    """

    def __init__(self, kind, reason, times=1_000_000, together=1):
        super().__init__()
        self.kind, self.reason, self.times, self.together = kind, reason, times, together
        self.waiting = b""

    def answer(self, payload):
        answer = super().answer(payload)
        if payload[0] == self.kind and self.times:
            self.times -= 1
            self.waiting += refusal(protocol.HEADER.unpack(payload)["sequence"], self.reason)
            if self.requests.count(self.kind) < self.together:
                return b""
            answer, self.waiting = self.waiting, b""
        return answer


class LosingAnswers(Peer):
    """Does what the first `times` requests of `kind` ask, but their answers get lost."""

    def __init__(self, kind, times=1):
        super().__init__()
        self.kind, self.times = kind, times

    def answer(self, payload):
        answer = super().answer(payload)
        if payload[0] == self.kind and self.times:
            self.times -= 1
            return b""
        return answer


class LosingRequests(Peer):
    """The first `times` requests of `kind` arrive broken."""

    def __init__(self, kind, times=1):
        super().__init__()
        self.kind, self.times = kind, times

    def answer(self, payload):
        if payload[0] == self.kind and self.times:
            self.times -= 1
            self.requests.append(Request(payload[0]))
            return b""
        return super().answer(payload)


class Claiming(Peer):
    """Says other things of itself than are true."""

    def __init__(self, **claims):
        super().__init__()
        self.claims = claims

    def identity(self, sequence):
        return {**super().identity(sequence), **self.claims}


class Older(Peer):
    """Identifies itself as protocol version 1 does: in fewer bytes."""

    LATER_FIELDS = ("pe", "parameter_lanes", "sum_bits", "overlap_neurons")

    def answer(self, payload):
        if payload[0] != Request.IDENTIFY:
            return super().answer(payload)
        self.requests.append(Request.IDENTIFY)
        identity = self.identity(protocol.HEADER.unpack(payload)["sequence"])
        identity |= {"protocol_version": 1}
        layout = protocol.Layout(
            {
                name: size
                for name, size in protocol.IDENTITY.fields.items()
                if name not in self.LATER_FIELDS
            }
        )
        return encode_frame(layout.pack(**{name: identity[name] for name in layout.fields}))


class Late(Peer):
    """Answers an image only when the next one comes, with both readings at once."""

    def __init__(self):
        super().__init__()
        self.held_back = b""

    def answer(self, payload):
        answer = super().answer(payload)
        if payload[0] != Request.INFER:
            return answer
        answer, self.held_back = self.held_back + answer, b""
        if self.requests.count(Request.INFER) % 2:
            self.held_back, answer = answer, b""
        return answer


class Slow(Peer):
    """Answers one request in each moment in which nothing comes."""

    def __init__(self):
        super().__init__()
        self.waiting = []

    def receive(self, data):
        self.waiting += self.frames.feed(data)
        return self.answer(self.waiting.pop(0)) if self.waiting and not data else b""


class Patient(Peer):
    """Answers only once nothing has come for a moment.

    most_waiting_bytes: what all requests of one kind that waited together take in a buffer.
    """

    def __init__(self, buffer_bytes):
        super().__init__(buffer_bytes=buffer_bytes)
        self.waiting = []
        self.most_waiting = {}
        self.most_waiting_bytes = 0

    def receive(self, data):
        if data:
            self.waiting += self.frames.feed(data)
            return b""
        overhead = CRC_BYTES + BUFFER_OVERHEAD_BYTES
        waiting_bytes = sum(len(payload) + overhead for payload in self.waiting)
        self.most_waiting_bytes = max(self.most_waiting_bytes, waiting_bytes)
        for kind in {payload[0] for payload in self.waiting}:
            together = sum(payload[0] == kind for payload in self.waiting)
            self.most_waiting[kind] = max(self.most_waiting.get(kind, 0), together)
        answers = b"".join(map(self.answer, self.waiting))
        self.waiting.clear()
        return answers


@contextmanager
def serving(peer, channel="socket"):
    """Run `peer` behind a channel of `CHANNELS`; gives the port to open."""
    stopping, stop = socket.socketpair()
    with CHANNELS[channel](stopping) as (where, connections):
        thread = threading.Thread(target=_serve, args=(peer, connections, stopping))
        thread.start()
        try:
            yield where
        finally:
            stop.close()
            thread.join()
            stopping.close()


@contextmanager
def _socket_channel(stopping):
    """A TCP port that takes one connection after the other."""

    def connections():
        while stopping not in select.select([server, stopping], [], [])[0]:
            yield server.accept()[0].detach()

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"socket://127.0.0.1:{server.getsockname()[1]}", connections()


@contextmanager
def _pty_channel(stopping):
    """A pseudo-terminal, which is gone once the peer has hung up."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave), iter([master])
    os.close(slave)


@contextmanager
def _rfc2217_channel(stopping):
    """A server that speaks RFC 2217, as ser2net does, and forwards to a serial port's other end."""
    threads = []

    def connections():
        while stopping not in select.select([server, stopping], [], [])[0]:
            client = server.accept()[0]
            port, ours = socket.socketpair()
            threads.append(threading.Thread(target=_forward, args=(client, port)))
            threads[-1].start()
            yield ours.detach()

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"rfc2217://127.0.0.1:{server.getsockname()[1]}", connections()
    for thread in threads:
        thread.join()


def _forward(client, port):
    """Until the client hangs up: its bytes to the port and back, with pyserial's end of Telnet."""
    manager = serial.rfc2217.PortManager(_Settings(), SimpleNamespace(write=client.sendall))
    with client, port, suppress(OSError):
        while True:
            ready = select.select([client, port], [], [])[0]
            if client in ready:
                if not (received := client.recv(4096)):
                    return
                port.sendall(b"".join(manager.filter(received)))
            if port in ready:
                if not (received := port.recv(4096)):
                    return
                client.sendall(b"".join(manager.escape(received)))


class _Settings(SimpleNamespace):
    """A serial port as a server of RFC 2217 sees it: settings that the client makes."""

    def __init__(self):
        lines = dict.fromkeys(("cts", "dsr", "ri", "cd"), False)
        super().__init__(baudrate=9600, bytesize=8, parity="N", stopbits=1, **lines)

    def reset_input_buffer(self):
        pass

    def reset_output_buffer(self):
        pass


CHANNELS = {"socket": _socket_channel, "pty": _pty_channel, "rfc2217": _rfc2217_channel}


def _serve(peer, connections, stopping):
    for descriptor in connections:
        # OSError: the host hung up while this end wrote.
        with suppress(HangUpError, OSError):
            _talk(peer, descriptor, stopping)
        os.close(descriptor)


def _talk(peer, descriptor, stopping):
    """Until someone hangs up, or the test is over."""
    while True:
        ready, _, _ = select.select([descriptor, stopping], [], [], IDLE_S)
        if stopping in ready:
            return
        received = os.read(descriptor, 4096) if ready else b""
        if ready and not received:
            return
        unsent = peer.receive(received)
        while unsent:
            unsent = unsent[os.write(descriptor, unsent) :]
