"""Sends the answers of `stepnet.link.messages`."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.link.messages import (
    ACKNOWLEDGE,
    IDENTITY,
    READING,
    REFUSAL,
    SPIKING_READING,
    Answer,
    Layout,
    identity_layout,
)
from stepnet_hdl.blocks.streams import PacketByte

LAYOUTS: Mapping[Answer, Layout] = {
    Answer.IDENTITY: IDENTITY,
    Answer.ACKNOWLEDGE: ACKNOWLEDGE,
    Answer.READING: READING,
    Answer.REFUSAL: REFUSAL,
}
"""The fields of every answer that a board sends, unless its engine has convolutions, it undoes
codings, or it counts spikes."""

_CONSTANT = 0
"""Stands for a field where the plan itself holds the byte."""


class AnswerWriter(wiring.Component):
    """Sends answers, each as one packet, by a plan in one block RAM, or in LUTs.

    The plan has one word per byte of every answer: a constant, or which field to send and which
    byte of it. The first byte of an answer is offered `latency_cycles` after `kind` is, and further
    ones every `byte_cycles`. `kind` is transferred in the cycle after the last byte was: what waits
    for that lies far from the wire.

    constants: values of the fields that never change, by name. With `map_words` or `codings`
        IDENTITY has that field, too.
    spikes: a READING says how many there were.
    in_luts: the plan takes LUTs instead of the block RAM.
    """

    latency_cycles = 3
    """Cycles from the offer of a kind to the offer of its answer's first byte."""

    byte_cycles = 2
    """Cycles from one byte of an answer to the next, if each is taken at once."""

    kind: stream.Interface
    """Stream of `Answer`, in: which answer to send. It is transferred when that answer has been
    sent."""
    fields: data.View
    """`StructLayout` of bytes, in: one byte of every field of `LAYOUTS` that is neither constant
    nor the kind, by name: the byte that `byte_index` asks for in the same cycle. It is read while
    the answer is sent."""
    byte_index: Signal
    """2 bits, out: which byte of a field is asked for, counted from the lowest; 0 for a field of
    one byte."""
    packets: stream.Interface
    """Stream of `PacketByte`, out: the answers, one packet each."""

    def __init__(
        self, constants: Mapping[str, int], *, in_luts: bool = False, spikes: bool = False
    ) -> None:
        self.constants = constants
        self.in_luts = in_luts
        identity = identity_layout(
            has_maps="map_words" in constants, has_codings="codings" in constants
        )
        self._layouts = {**LAYOUTS, Answer.IDENTITY: identity}
        if spikes:
            self._layouts[Answer.READING] = SPIKING_READING
        self.field_bytes = {
            name: size
            for layout in self._layouts.values()
            for name, size in layout.fields.items()
            if name not in constants and name != "kind"
        }
        field_bits = dict.fromkeys(self.field_bytes, 8)
        self._field_numbers = {name: 1 + number for number, name in enumerate(self.field_bytes)}
        super().__init__(
            {
                "kind": In(stream.Signature(Answer)),
                "fields": In(data.StructLayout(field_bits)),
                "byte_index": Out(range(max(self.field_bytes.values()))),
                "packets": Out(stream.Signature(PacketByte)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        word = data.StructLayout(
            {
                "constant": 8,
                "field": range(len(self.field_bytes) + 1),
                "byte_index": self.byte_index.shape(),
                "last": 1,
            }
        )
        words, first_word = self._plan()
        m.submodules.plan = plan = memory.Memory(
            shape=word,
            depth=len(words),
            init=[word.const(entry) for entry in words],
            attrs={"rom_style": "logic" if self.in_luts else "block"},
        )
        plan_port = plan.read_port()
        planned = plan_port.data

        position = Signal(range(len(words) + 1))
        m.d.comb += [plan_port.addr.eq(position), self.byte_index.eq(planned.byte_index)]
        with m.FSM():
            with m.State("IDLE"):
                with m.Switch(self.kind.p):
                    for kind, number in first_word.items():
                        with m.Case(kind):
                            m.d.sync += position.eq(number)
                with m.If(self.kind.valid):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "SELECT"
            with m.State("SELECT"):
                choices = Cat(planned.constant, self.fields)
                m.d.sync += [
                    self.packets.p.data.eq(choices.word_select(planned.field, 8)),
                    self.packets.p.last.eq(planned.last),
                    position.eq(position + 1),
                ]
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.packets.valid.eq(1)
                with m.If(self.packets.ready):
                    m.next = "SELECT"
                    with m.If(self.packets.p.last):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.kind.ready.eq(1)
                m.next = "IDLE"
        return m

    def _plan(self) -> tuple[list[dict[int | str, int]], dict[Answer, int]]:
        """Return the words of the plan, all answers in turn, and where each answer starts."""
        words: list[dict[int | str, int]] = []
        first_word: dict[Answer, int] = {}
        for kind, layout in self._layouts.items():
            first_word[kind] = len(words)
            for name, size in layout.fields.items():
                value = kind if name == "kind" else self.constants.get(name)
                for number in range(size):
                    if value is None:
                        words.append({"field": self._field_numbers[name], "byte_index": number})
                    else:
                        words.append({"field": _CONSTANT, "constant": value >> 8 * number & 0xFF})
            words[-1]["last"] = 1
        return words, first_word
