"""Requests and their answers over a link: sequence numbers, images in flight, retries.

Every request goes out with a sequence number of its own, also when it is repeated, and only an
answer with such a number and a fitting kind counts. So an answer may come late, to the first of two
attempts, but is never taken for that to another request.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from stepnet import protocol
from stepnet.errors import LinkError, LinkTimeoutError, RefusedError
from stepnet.link import Link
from stepnet.protocol import Answer, FrameReader, Layout, Refusal, Request

_LAYOUTS = {
    Request.IDENTIFY: protocol.HEADER,
    Request.CLEAR: protocol.HEADER,
    Request.LOAD: protocol.LOAD,
    Request.COMMIT: protocol.COMMIT,
    Request.INFER: protocol.INFER,
}

_ANSWERS = {
    Request.IDENTIFY: Answer.IDENTITY,
    Request.CLEAR: Answer.ACKNOWLEDGE,
    Request.LOAD: Answer.ACKNOWLEDGE,
    Request.COMMIT: Answer.ACKNOWLEDGE,
    Request.INFER: Answer.READING,
}

_PURPOSES = {
    Request.IDENTIFY: "identify itself",
    Request.CLEAR: "forget its network",
    Request.LOAD: "load the network",
    Request.COMMIT: "use the loaded network",
    Request.INFER: "infer an image",
}


@dataclass(frozen=True)
class Message:
    """A request without its sequence number: what its layout wants beside, then `data`."""

    request: Request
    fields: Mapping[str, int] = field(default_factory=dict[str, int])
    data: bytes = b""

    def payload(self, sequence: int) -> bytes:
        """The bytes to frame."""
        layout: Layout = _LAYOUTS[self.request]
        return layout.pack(kind=self.request, sequence=sequence, **self.fields) + self.data


@dataclass
class _Sent:
    """A message under way: the sequence numbers of its attempts, and its answer once there."""

    message: Message
    sequences: list[int] = field(default_factory=list[int])
    answer: bytes | None = None


class Exchange:
    """One side of a conversation over `link`: asks, and matches what comes back.

    where: how the link is named in errors.
    timeout_s: how long an answer may take.

    All methods raise LinkError if the link breaks or what answers does not speak the protocol,
    LinkTimeoutError if nothing does in time, and RefusedError if the board refuses. None waits
    longer than the attempts and timeouts it was given add up to, whatever arrives meanwhile.
    """

    def __init__(self, link: Link, where: str, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._link = link
        self._where = where
        self._frames = FrameReader()
        self._sequence = 0
        self._unanswered: dict[int, _Sent] = {}
        self._received_bytes = 0
        self._understood = False

    @property
    def busy(self) -> bool:
        """Something was asked that is neither answered nor given up."""
        return bool(self._unanswered)

    def resync(self) -> None:
        """End whatever half a frame the board may have; a zero byte does not count as a frame."""
        self._link.write(b"\0")

    def ask(self, message: Message, *, attempts: int = 1, timeout_s: float | None = None) -> bytes:
        """The payload that answers `message`, which is sent up to `attempts` times.

        timeout_s: of each attempt, if not that of the exchange.
        """
        return self._answer(self._send(message), attempts, timeout_s or self.timeout_s)

    def ask_each(
        self, messages: Iterable[Message], *, window: int, attempts: int = 1
    ) -> Iterator[bytes]:
        """The answers to `messages`, in their order, with up to `window` of them in flight.

        Messages are taken from their source as they can be sent, so it may be endless.
        """
        in_flight: deque[_Sent] = deque()
        try:
            for message in messages:
                in_flight.append(self._send(message))
                if len(in_flight) == window:
                    yield self._answer(in_flight.popleft(), attempts, self.timeout_s)
            while in_flight:
                yield self._answer(in_flight.popleft(), attempts, self.timeout_s)
        finally:
            for sent in in_flight:
                self._forget(sent)

    def _send(self, message: Message) -> _Sent:
        sent = _Sent(message)
        self._transmit(sent)
        return sent

    def _transmit(self, sent: _Sent) -> None:
        self._sequence = (self._sequence + 1) % (1 << 8 * protocol.HEADER.fields["sequence"])
        self._link.write(protocol.encode_frame(sent.message.payload(self._sequence)))
        sent.sequences.append(self._sequence)
        self._unanswered[self._sequence] = sent

    def _forget(self, sent: _Sent) -> None:
        for sequence in sent.sequences:
            self._unanswered.pop(sequence, None)

    def _answer(self, sent: _Sent, attempts: int, timeout_s: float) -> bytes:
        try:
            for attempt in range(attempts):
                if attempt:
                    self.resync()
                    self._transmit(sent)
                answer = self._wait(sent, time.monotonic() + timeout_s)
                if answer is not None:
                    return self._unless_refused(sent.message.request, answer)
        finally:
            self._forget(sent)
        raise self._silence(attempts * timeout_s)

    def _wait(self, sent: _Sent, deadline_s: float) -> bytes | None:
        """The answer to `sent`; None if there is none by `deadline_s` of the monotonic clock."""
        while sent.answer is None:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            self._take(self._link.read(left_s))
        return sent.answer

    def _take(self, received: bytes) -> None:
        """Give every whole message in `received` to the request that it answers, if any."""
        self._received_bytes += len(received)
        for payload in self._frames.feed(received):
            self._understood = True
            header = protocol.HEADER.unpack(payload)
            sent = self._unanswered.get(header["sequence"])
            if sent and header["kind"] in (_ANSWERS[sent.message.request], Answer.REFUSAL):
                sent.answer = payload
                self._forget(sent)

    def _unless_refused(self, request: Request, answer: bytes) -> bytes:
        if protocol.HEADER.unpack(answer)["kind"] != Answer.REFUSAL:
            return answer
        number = protocol.REFUSAL.unpack(answer)["reason"]
        known = number in set(Refusal)
        because = Refusal(number).sentence if known else f"of reason {number}, unknown here"
        raise RefusedError(
            f"The board at {self._where!r} refused to {_PURPOSES[request]} because {because}; "
            "open it again, and if that does not help, build its bitstream with this version.",
            number,
        )

    def _silence(self, waited_s: float) -> LinkError:
        if self._received_bytes and not self._understood:
            return LinkError(
                f"What answers at {self._where!r} does not speak Stepnet's protocol "
                f"({self._received_bytes} bytes came, but no whole message); check the port, the "
                "baud rate and that the board runs Stepnet's bitstream."
            )
        return LinkTimeoutError(
            f"The board at {self._where!r} did not answer within {waited_s:g} s; check the port, "
            "the cable, the baud rate and that the board runs Stepnet's bitstream."
        )
