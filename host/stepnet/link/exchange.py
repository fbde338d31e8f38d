"""Requests and their answers over a link: sequence numbers, what is in flight, what got lost.

A board answers in the order it is asked, and a byte stream keeps that order. So an answer says of
every request sent before it that its own answer will not come any more: it is lost, and known to be
at once. Where nothing comes at all for longer than the measured round trip, the board is asked who
it is; that answer tells of everything before it, and puts nothing at risk that is only slow.

A request stays in flight until it or a later one is answered. Numbers go up one by one from a
random start, so that none is used again while an answer to it may still come, and none of an
earlier program on the same board fits.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Iterable, Sequence
from os import urandom

from stepnet.errors import LinkError, LinkTimeoutError, RefusedError
from stepnet.link import messages as protocol
from stepnet.link.frames import BUFFER_OVERHEAD_BYTES, CRC_BYTES, FrameReader, encode_frame
from stepnet.link.link import Link
from stepnet.link.messages import Answer, Layout, Refusal, Request
from stepnet.link.round_trip import RoundTrip
from stepnet.link.tally import Tally

MESSAGE_OVERHEAD_BYTES = CRC_BYTES + BUFFER_OVERHEAD_BYTES
"""What a message takes in the board's buffer beside its payload."""

ATTEMPTS = 8
"""How many times one request is sent before it is given up, though the board answers others."""

PROBES_PER_TIMEOUT = 4
"""A silent board is asked at the latest after this part of the timeout whether it is there."""


def compiled(layout: Layout) -> struct.Struct:
    """A layout as a `struct.Struct`, for the many messages of a stream: quicker than the layout
    itself, but it has its fields by their places alone.
    """
    formats = {1: "B", 2: "H", 4: "I"}
    return struct.Struct("<" + "".join(formats[size] for size in layout.fields.values()))


_NUMBER_BYTES = protocol.HEADER.fields["sequence"]
_NUMBERS = 1 << 8 * _NUMBER_BYTES
_HEADER = compiled(protocol.HEADER)
_BODILESS_BYTES = _HEADER.size + MESSAGE_OVERHEAD_BYTES  # of the buffer, for a message without body

_REFUSAL = int(Answer.REFUSAL)  # comparing with a plain number is much quicker
_READING = int(Answer.READING)
_IMAGE = int(Request.INFER)
_CODED_IMAGE = int(Request.INFER_CODED)

_ANSWERS: dict[int, tuple[int, Sequence[Layout]]] = {
    Request.IDENTIFY.value: (Answer.IDENTITY, ()),  # other versions may say more or less
    Request.CLEAR.value: (Answer.ACKNOWLEDGE, (protocol.ACKNOWLEDGE,)),
    Request.LOAD.value: (Answer.ACKNOWLEDGE, (protocol.ACKNOWLEDGE,)),
    Request.COMMIT.value: (Answer.ACKNOWLEDGE, (protocol.ACKNOWLEDGE,)),
    Request.INFER.value: (Answer.READING, (protocol.READING, protocol.SPIKING_READING)),
}
_EXPECTED = {
    request: (int(kind), tuple(layout.size for layout in layouts))
    for request, (kind, layouts) in _ANSWERS.items()
}
"""The kind of answer to each kind of request, and the sizes that its payload may have; none for any
size."""

_PURPOSES = {
    Request.IDENTIFY: "identify itself",
    Request.CLEAR: "forget its network",
    Request.LOAD: "load the network",
    Request.COMMIT: "use the loaded network",
    Request.INFER: "infer an image",
}


class Message:
    """A request, and what became of it.

    request: its kind.
    body: the payload behind the sequence number.
    coded: of an image, a shorter body for a board that takes coded images; None if there is none.
    buffer_bytes: how many bytes it takes in the board's receive buffer.
    answer: the payload that answered it; b"" until then. It may be a refusal.
    doubtful: whether it was answered after something was lost or refused, and before the board was
        asked what it holds: what happened may have been a reset.
    lost: whether it was sent, but will not be answered any more.
    attempts: how many times it was sent.
    wanted: whether somebody still waits for the answer.
    """

    # What no message has set is read from here; a stream makes very many of them.
    answer = b""
    doubtful = False
    lost = False
    attempts = 0
    wanted = True
    number = 0
    sent_at_s = 0.0  # the first time

    def __init__(self, request: int, body: bytes = b"", coded: bytes | None = None) -> None:
        self.request = request
        self.body = body
        self.coded = coded
        self.buffer_bytes = _BODILESS_BYTES + len(body)

    @property
    def refusal(self) -> int | None:
        """The reason for which the board refused it, as a number; None if it did not."""
        if not self.answer or self.answer[0] != _REFUSAL:
            return None
        return protocol.REFUSAL.unpack(self.answer)["reason"]


class Exchange:
    """The host's side of a conversation with a board: asks over `link`, and matches what comes
    back.

    where: how the link is named in errors.
    timeout_s: how long the board may be silent while an answer is due.

    buffer_bytes: the size of the board's receive buffer, which requests in flight never overfill; 0
        keeps one request in flight.
    coded_images: whether the board takes coded images.
    troubles: goes up when a request is lost or refused.
    in_doubt: whether a request was lost or refused since this was last set to False, which the
        session does once it has asked what the board holds.
    tally: the counters.

    All methods raise LinkError if the link breaks or what answers does not speak the protocol,
    and LinkTimeoutError if nothing does in time. None waits longer than its timeout for the next
    answer, whatever else arrives meanwhile.
    """

    def __init__(self, link: Link, where: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.buffer_bytes = 0
        self.coded_images = False
        self.troubles = 0
        self.in_doubt = False
        self.tally = Tally()
        self._link = link
        self._where = where
        self._frames = FrameReader()
        self._dropped_before = 0
        # Not from `random`, which a program may have seeded as it did the last time.
        self._number = int.from_bytes(urandom(_NUMBER_BYTES), "little")
        self._in_flight: deque[Message] = deque()
        self._in_flight_bytes = 0
        self._round_trip = RoundTrip()
        self._heard_bytes = 0
        self._understood = False
        self._echoed = False

    @property
    def busy(self) -> bool:
        """Whether somebody waits for the reading of an image in flight."""
        return any(message.wanted and message.request == _IMAGE for message in self._in_flight)

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return not self._in_flight

    @property
    def dropped_frames(self) -> int:
        """How many frames came broken since the beginning."""
        return self._dropped_before + self._frames.dropped

    @property
    def round_trip_s(self) -> float:
        """The time from a request to its answer, smoothed; 0 before anything was measured."""
        return self._round_trip.seconds

    @property
    def baud(self) -> int | None:
        """Bits per second on the link's line; None for a link without a rate."""
        return getattr(self._link, "baud", None)

    def resync(self) -> None:
        """End whatever half a frame the board may have; a zero byte does not count as a frame."""
        self._write(b"\0")

    def restart(self, link: Link) -> None:
        """Go on over another link; everything in flight is lost."""
        self._link = link
        self._dropped_before += self._frames.dropped
        self._frames = FrameReader()
        self._heard_bytes = 0
        self._understood = False
        self._echoed = False
        while self._in_flight:
            self._lose(self._in_flight.popleft())
        self._in_flight_bytes = 0
        self.tally.rest(time.monotonic())
        self.resync()

    def close(self) -> None:
        """Give the link back. Closing twice does nothing."""
        self._link.close()

    def free_bytes(self) -> int:
        """How many bytes of the board's receive buffer are free, by what is known here."""
        return self.buffer_bytes - self._in_flight_bytes

    def fits(self, message: Message) -> bool:
        """Whether `message` may be sent now; one may always be in flight."""
        return not self._in_flight or message.buffer_bytes <= self.free_bytes()

    def send(self, messages: Sequence[Message]) -> None:
        """Send messages of one kind, each under a new number, in one write."""
        if not messages:
            return
        now_s = time.monotonic()
        number = self._number
        coded_images = self.coded_images
        taken_bytes = 0
        frames: list[bytes] = []
        for message in messages:
            number = (number + 1) % _NUMBERS
            if coded_images and (coded := message.coded) is not None:
                frames.append(encode_frame(_HEADER.pack(_CODED_IMAGE, number) + coded))
            else:
                frames.append(encode_frame(_HEADER.pack(message.request, number) + message.body))
            message.number = number
            if message.attempts:
                message.answer = b""
                message.lost = False
            else:
                message.sent_at_s = now_s
            message.attempts += 1
            taken_bytes += message.buffer_bytes
        self._number = number
        self._in_flight_bytes += taken_bytes
        self._in_flight.extend(messages)
        if messages[0].request == _IMAGE:
            self.tally.begin(now_s)
        self._write(b"".join(frames))

    def settle(self, timeout_s: float | None = None) -> None:
        """Wait until something in flight is answered or known to be lost.

        timeout_s: how long the board may be silent; as long as the exchange allows if None.
        """
        allowed_s = self.timeout_s if timeout_s is None else timeout_s
        now_s = time.monotonic()
        give_up_s = now_s + allowed_s
        patience_s = self._round_trip.patience_s(allowed_s / PROBES_PER_TIMEOUT)
        probe_at_s = now_s + patience_s
        while not self._take(self._link.read(max(0.0, min(probe_at_s, give_up_s) - now_s))):
            now_s = time.monotonic()
            if now_s >= give_up_s:
                raise self._silence(allowed_s)
            if now_s >= probe_at_s:
                self._probe()
                patience_s *= 2
                probe_at_s = now_s + patience_s

    def poll(self) -> None:
        """Take what has arrived, without waiting."""
        self._take(self._link.read(0.0))

    def forget(self, messages: Iterable[Message]) -> None:
        """Nobody waits for the answers to `messages` any more."""
        for message in messages:
            message.wanted = False
        if not self.busy:
            self.tally.rest(time.monotonic())

    def ask(self, message: Message, *, attempts: int = 1, timeout_s: float | None = None) -> bytes:
        """The answer to `message`, which is sent up to `attempts` times while nothing else is.

        timeout_s: how long each attempt may take; as long as the exchange allows if None.

        Raises RefusedError if the board refuses.
        """
        allowed_s = self.timeout_s if timeout_s is None else timeout_s
        tries: list[Message] = []
        for attempt in range(attempts):
            if attempt:
                self.resync()
            tries.append(Message(message.request, message.body))
            self.send(tries[-1:])
            deadline_s = time.monotonic() + allowed_s
            while (left_s := deadline_s - time.monotonic()) > 0:
                self._take(self._link.read(left_s))
                for sent in tries:
                    if sent.answer:
                        return self._unless_refused(sent)
        raise self._silence(attempts * allowed_s)

    def insist(self, message: Message, timeout_s: float | None = None) -> bytes:
        """The answer to `message`, which is sent again each time that it is known to be lost.

        timeout_s: how long the board may be silent; as long as the exchange allows if None.

        Raises RefusedError if the board refuses.
        """
        while not message.answer:
            if message.attempts == ATTEMPTS:
                raise self.given_up(message.request, message.attempts)
            self.send([message])
            while not (message.answer or message.lost):
                self.settle(timeout_s)
        return self._unless_refused(message)

    def ask_all(self, messages: Iterable[Message]) -> bool:
        """Send `messages` in order, as the board's buffer takes them, and wait for their answers.

        Returns True once all are answered, and False as soon as one is lost; the others may have
        arrived then.

        Raises RefusedError as soon as the board refuses one.
        """
        unsettled: deque[Message] = deque()
        for message in messages:
            while not self.fits(message):
                self.settle()
            self.send([message])
            unsettled.append(message)
            if not self._all_answered(unsettled):
                return False
        while unsettled:
            self.settle()
            if not self._all_answered(unsettled):
                return False
        return True

    def refused(self, message: Message) -> RefusedError:
        """What to raise for a message that the board refused."""
        number = message.refusal or 0
        known = number in set(Refusal)
        because = Refusal(number).sentence if known else f"of reason {number}, unknown here"
        return RefusedError(
            f"The board at {self._where!r} refused to {_PURPOSES[Request(message.request)]} "
            f"because {because}; open it again, and if that does not help, build its bitstream "
            "with this version.",
            number,
        )

    def given_up(self, request: int, attempts: int) -> LinkError:
        """What to raise for a request that was lost too often, though the board answers others."""
        return LinkError(
            f"The board at {self._where!r} was asked {attempts} times to "
            f"{_PURPOSES[Request(request)]}, and each time something got lost on the way; check "
            "the cable and the baud rate."
        )

    def _all_answered(self, unsettled: deque[Message]) -> bool:
        """Take the answered messages from the front; False if the next one is lost."""
        while unsettled and unsettled[0].answer:
            self._unless_refused(unsettled.popleft())
        return not (unsettled and unsettled[0].lost)

    def _unless_refused(self, message: Message) -> bytes:
        if message.refusal is not None:
            raise self.refused(message)
        return message.answer

    def _write(self, data: bytes) -> None:
        self.tally.bytes_sent += len(data)
        self._link.write(data)

    def _probe(self) -> None:
        """Ask who is there: the answer tells whether what came before it is lost.

        It may be more than the board's buffer has free. Then the board is only slow, and drops it.
        """
        self.tally.timeouts += 1
        self.resync()
        self.send([Message(Request.IDENTIFY)])

    def _take(self, received: bytes) -> bool:
        """Give every whole message to the request that it answers; True if one was settled."""
        if not received:
            return False
        self.tally.bytes_received += len(received)
        self._heard_bytes += len(received)
        in_flight = self._in_flight
        settled: Message | None = None
        latencies_s: list[float] = []
        now_s = time.monotonic()
        payloads = self._frames.feed(received)
        self._understood |= bool(payloads)
        for payload in payloads:
            number = payload[1] | payload[2] << 8
            message = in_flight[0] if in_flight else None
            if message is None or message.number != number:
                message = self._find(number)
                if message is None:
                    continue  # late, or nobody's
            kind, sizes = _EXPECTED[message.request]
            if payload[0] == kind:
                if sizes and len(payload) not in sizes:
                    continue
                if kind == _READING and message.wanted:
                    latencies_s.append(now_s - message.sent_at_s)
            elif payload[0] != _REFUSAL or len(payload) != protocol.REFUSAL.size:
                self._echoed |= payload[0] == message.request
                continue
            else:
                self._count_refusal(message)
            while (first := in_flight.popleft()) is not message:
                self._in_flight_bytes -= first.buffer_bytes
                self._lose(first)
            self._in_flight_bytes -= message.buffer_bytes
            message.answer = payload
            message.doubtful = self.in_doubt
            settled = message
        self.tally.answered(latencies_s)
        if settled is None:
            return False
        if settled.attempts == 1:
            self._round_trip.add(now_s - settled.sent_at_s)
        if not self.busy:
            self.tally.rest(now_s)
        return True

    def _find(self, number: int) -> Message | None:
        return next((message for message in self._in_flight if message.number == number), None)

    def _lose(self, message: Message) -> None:
        message.lost = True
        self._trouble()

    def _count_refusal(self, message: Message) -> None:
        self._trouble()
        if message.request == _IMAGE:
            self.tally.refusals += 1

    def _trouble(self) -> None:
        self.troubles += 1
        self.in_doubt = True

    def _silence(self, waited_s: float) -> LinkError:
        if self._echoed:
            return LinkError(
                f"The port {self._where!r} gives back what it is sent: its TX and RX are joined, "
                "or a login prompt answers there; check the wires and that this is the board's "
                "port."
            )
        if self._heard_bytes and not self._understood:
            return LinkError(
                f"What answers at {self._where!r} does not speak Stepnet's protocol "
                f"({self._heard_bytes} bytes came, but no whole message); check the port, the "
                "baud rate and that the board runs Stepnet's bitstream."
            )
        return LinkTimeoutError(
            f"The board at {self._where!r} did not answer within {waited_s:g} s; check the port, "
            "the cable, the baud rate and that the board runs Stepnet's bitstream."
        )
