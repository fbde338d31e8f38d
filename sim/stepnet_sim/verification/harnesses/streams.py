"""The rules of a stream, for every output stream of a block.

Once `valid`, an offer stays and its payload with it until the transfer. (Amaranth RFC 61.)
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, cast

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Component, In, Out

from stepnet_sim.verification.formal import Harness, claim, given


def streams(component: Component, flow: wiring.Flow) -> Iterator[str]:
    """The names of the streams at the face of a component that flow this way."""
    for name, member in component.signature.members.items():
        if member.flow is not flow or not member.is_signature:
            continue
        if isinstance(member.signature, stream.Signature):
            yield name


class KeepsOffers(Harness):
    """A block between a writer who keeps his offers and a reader who is ready when he likes.

    Everything else at the face of the block may do anything.
    exempt: output streams that have other rules.
    """

    def __init__(self, make: Callable[[], Component], exempt: Collection[str] = ()) -> None:
        self._block = make()
        self._exempt = exempt
        super().__init__(self._block.signature)

    def claims(self, m: Module) -> None:
        """The same rule is assumed of inputs and asserted of outputs."""
        m.submodules.dut = cast(Any, self._block)
        wiring.connect(m, self._block, wiring.flipped(self))
        for name in streams(self._block, In):
            m.d.comb += given(_kept(m, getattr(self, name)))
        for name in streams(self._block, Out):
            if name not in self._exempt:
                m.d.comb += claim(_kept(m, getattr(self, name)))


def _kept(m: Module, port: stream.Interface) -> Value:
    """Whether an offer that was not taken in the cycle before stands, and unchanged."""
    stood = Signal()
    payload = Value.cast(port.payload)
    before = Signal.like(payload)
    m.d.sync += [stood.eq(port.valid & ~port.ready), before.eq(payload)]
    return ~stood | (port.valid & (payload == before))
