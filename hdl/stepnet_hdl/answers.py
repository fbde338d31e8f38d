"""The messages of `stepnet.protocol` that a board sends."""

from collections.abc import Mapping

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.protocol import ACKNOWLEDGE, IDENTITY, READING, REFUSAL, Answer, Layout
from stepnet_hdl.cobs import PacketByte

LAYOUTS: Mapping[Answer, Layout] = {
    Answer.IDENTITY: IDENTITY,
    Answer.ACKNOWLEDGE: ACKNOWLEDGE,
    Answer.READING: READING,
    Answer.REFUSAL: REFUSAL,
}


def struct_layout(layout: Layout) -> data.StructLayout:
    """The same fields as bits of a signal, the first byte lowest."""
    return data.StructLayout({name: 8 * size for name, size in layout.fields.items()})


AnswerFields = data.StructLayout(
    {
        name: 8 * size
        for layout in LAYOUTS.values()
        for name, size in layout.fields.items()
        if name != "kind"
    }
)
"""The fields of all answers; those of the same name carry the same."""


class AnswerWriter(wiring.Component):
    """Sends one answer after another, each as one packet.

    The first byte is offered two cycles after `kind` is, further ones every second cycle.

    Members
    -------
    kind : stream of Answer, in
        Which answer to send; transferred together with its last byte.
    fields : AnswerFields, in
        What the answer says, while it is sent.
    packets : stream of PacketByte, out
    """

    kind: stream.Interface
    fields: data.View
    packets: stream.Interface

    def __init__(self) -> None:
        super().__init__(
            {
                "kind": In(stream.Signature(Answer)),
                "fields": In(AnswerFields),
                "packets": Out(stream.Signature(PacketByte)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        # All answers side by side; one of them is walked through from its first byte to its last.
        every_byte: list[Value] = []
        first: dict[Answer, int] = {}
        for kind in LAYOUTS:
            first[kind] = len(every_byte)
            every_byte += self._packet_bytes(m, kind)
        position = Signal(range(len(every_byte)))

        with m.FSM():
            with m.State("IDLE"):
                with m.Switch(self.kind.p):
                    for kind, number in first.items():
                        with m.Case(kind):
                            m.d.sync += position.eq(number)
                with m.If(self.kind.valid):
                    m.next = "SELECT"
            with m.State("SELECT"):
                with m.Switch(position):
                    for number, byte in enumerate(every_byte):
                        with m.Case(number):
                            m.d.sync += self.packets.p.eq(byte)
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.packets.valid.eq(1)
                with m.If(self.packets.ready):
                    m.d.sync += position.eq(position + 1)
                    m.next = "SELECT"
                    with m.If(self.packets.p.last):
                        m.d.comb += self.kind.ready.eq(1)
                        m.next = "IDLE"
        return m

    def _packet_bytes(self, m: Module, kind: Answer) -> list[Value]:
        """The answer of this kind as PacketBytes."""
        layout = LAYOUTS[kind]
        message = Signal(struct_layout(layout), name=kind.name.lower())
        m.d.comb += message["kind"].eq(kind)
        m.d.comb += [
            message[name].eq(self.fields[name]) for name in layout.fields if name != "kind"
        ]
        return [
            Cat(message.as_value().word_select(number, 8), C(number == layout.size - 1, 1))
            for number in range(layout.size)
        ]
