"""The rules of streams, for every output stream of a block.

Once `valid` is 1, the offer stays until the transfer, and its payload with it (Amaranth RFC 61).
"""

from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from typing import Any, cast

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Component, In, Out

from stepnet_sim.verification.formal import Harness, claim, given


def streams(signature: Any, flow: wiring.Flow) -> Iterator[str]:
    """The names of those streams among a component's ports that flow this way; a stream in a bundle
    of ports has the bundle's name and a dot before its own.
    """
    for name, member in signature.members.items():
        if not member.is_signature:
            continue
        if not isinstance(member.signature, stream.Signature):
            bundle = cast(wiring.Signature, member.signature)
            yield from (f"{name}.{inner}" for inner in streams(bundle, flow))
        elif member.flow is flow:
            yield name


class KeepsOffers(Harness):
    """A block between a writer who keeps his offers and a reader who is ready when he likes.

    All other ports of the block may do anything.

    exempt: the names of output streams that have other rules.
    """

    def __init__(self, make: Callable[[], Component], exempt: Collection[str] = ()) -> None:
        self._block = make()
        self._exempt = exempt
        super().__init__(self._block.signature)

    def claims(self, m: Module) -> None:
        """Inputs are assumed to keep their offers, outputs have to."""
        m.submodules.dut = cast(Any, self._block)
        wiring.connect(m, self._block, wiring.flipped(self))
        signature = self._block.signature
        for name in streams(signature, In):
            m.d.comb += given(kept(m, attrgetter(name)(self)))
        for name in streams(signature, Out):
            if name not in self._exempt:
                m.d.comb += claim(kept(m, attrgetter(name)(self)))


def kept(m: Module, port: stream.Interface) -> Value:
    """Whether an offer that was not taken in the cycle before stands, and unchanged."""
    stood = Signal()
    payload = Value.cast(port.payload)
    before = Signal.like(payload)
    m.d.sync += [stood.eq(port.valid & ~port.ready), before.eq(payload)]
    return ~stood | (port.valid & (payload == before))
