"""Keeps received frames until they are dealt with: all of a good one, nothing of a broken one."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.errors import BuildError
from stepnet.link.frames import CRC_BYTES
from stepnet.link.messages import HEADER
from stepnet_hdl.blocks.streams import PacketByte

FrameByte = data.StructLayout({"data": 8, "end": 1, "good": 1})
"""One byte of a frame, CRC included; or, with `end`, the end of a frame, and whether that frame was
`good`."""

BUFFER_BYTES = tuple(1 << n for n in range(6, 16))
"""Sizes in bytes that a receive buffer can have."""


def check_buffer_bytes(buffer_bytes: int) -> None:
    """Raise BuildError if no buffer can have this size."""
    if buffer_bytes not in BUFFER_BYTES:
        raise BuildError(
            f"A receive buffer cannot have {buffer_bytes} bytes; choose a power of two from "
            f"{BUFFER_BYTES[0]} to {BUFFER_BYTES[-1]}."
        )


class PacketBuffer(wiring.Component):
    """A circular buffer in block RAM, which frames enter byte by byte and leave as packets.

    While a frame comes in it takes `BUFFER_OVERHEAD_BYTES` for its length, its payload and its CRC.
    A good one is then kept without the CRC, and a broken one gives all its room back. A frame that
    is shorter than a message header, or longer than the room left, counts as broken too.
    `stepnet.link.frames.window` counts in the same way: no frame within that window is dropped.

    `frames` takes a byte per cycle but waits `good_frame_cycles` after the end of a good frame and
    `broken_frame_cycles` after that of a broken one; it never waits for `packets`. The first byte
    of a packet is offered `latency_cycles` after its end was taken, further ones every cycle, with
    `packet_gap_cycles` between packets.

    buffer_bytes: size of the buffer. Raises BuildError if it is not in `BUFFER_BYTES`.
    """

    latency_cycles = 8
    """Cycles from taking the end of a frame to the offer of the first byte of its packet."""

    packet_gap_cycles = 2
    """Cycles between packets that wait, if each byte is taken at once."""

    good_frame_cycles = 4
    """Cycles that `frames` waits after the end of a good frame."""

    broken_frame_cycles = 2
    """Cycles that `frames` waits after the end of a broken frame."""

    frames: stream.Interface
    """Stream of `FrameByte`, in: the bytes of each frame, CRC included, and its end."""
    packets: stream.Interface
    """Stream of `PacketByte`, out: the payloads of good frames, in order."""
    bytes_after: Signal
    """16 bits, out: how many bytes of the packet follow the one that is offered."""
    dropped: Signal
    """1 bit, out: 1 for one cycle, after the end of a frame that is dropped was taken."""
    empty: Signal
    """1 bit, out: no whole packet waits; a part of one may."""

    def __init__(self, buffer_bytes: int) -> None:
        check_buffer_bytes(buffer_bytes)
        self.buffer_bytes = buffer_bytes
        super().__init__(
            {
                "frames": In(stream.Signature(FrameByte)),
                "packets": Out(stream.Signature(PacketByte)),
                "bytes_after": Out(16),
                "dropped": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        # Synthesis joins this read port and the register behind it into the port of a block RAM,
        # and knows from `no_rw_check` that no byte is read in the cycle that writes it. To a
        # synchronous port it would add logic for that case.
        m.submodules.storage = storage = memory.Memory(
            shape=8, depth=self.buffer_bytes, init=[], attrs={"no_rw_check": "1"}
        )
        write_port = storage.write_port()
        read_port = storage.read_port(domain="comb")

        # Positions count bytes since reset; one bit more than an address tells full from empty.
        position_bits = self.buffer_bytes.bit_length()
        read = Signal(position_bits)  # the next byte to read
        start = Signal(position_bits)  # the length of the frame in progress; packets end before
        write = Signal(position_bits)  # the next byte to write
        reads = Signal()  # `read` moves on
        committing = Signal()  # `start` is past a packet whose length is still being written

        self._write_frames(
            m, write_port, write=write, start=start, read=read, reads=reads, busy=committing
        )
        # Settled a cycle before, because the comparison is long; `start` moves while committing.
        unread = Signal()
        next_read = read + 1
        m.d.sync += unread.eq(Mux(reads, next_read[:position_bits] != start, read != start))
        available = unread & ~committing
        self._read_packets(m, read_port, read=read, available=available, reads=reads)
        # A packet whose length is still being written is in here too.
        with m.If(committing):
            m.d.comb += self.empty.eq(0)
        return m

    def _write_frames(
        self,
        m: Module,
        port: memory.WritePort,
        *,
        write: Signal,
        start: Signal,
        read: Signal,
        reads: Signal,
        busy: Signal,
    ) -> None:
        """Write frames and their lengths. It is one function because each of its registers depends
        on most of the others: a part of it would take as many arguments as it has lines."""
        frame = self.frames.p
        receiving = Signal()
        ends = receiving & self.frames.valid & frame.end

        # The number of payload bytes after the first, negative until the CRC is past.
        length_init = -(CRC_BYTES + 1)
        bytes_after = Signal(range(length_init, self.buffer_bytes))
        long_enough = Signal()
        overflowed = Signal()
        good = frame.good & ~overflowed & long_enough

        # What follows the end of a frame, a cycle for each: the length of a good one is written,
        # and room for the next length is left. With the latter it starts, so that the other
        # registers do with 0 at first, which costs an iCE40 no LUTs.
        length_low, length_high = Signal(), Signal()
        reserve_low, reserve_high = Signal(init=1), Signal()
        m.d.sync += [
            length_low.eq(ends & good),
            length_high.eq(length_low),
            reserve_low.eq((ends & ~good) | length_high),
            reserve_high.eq(reserve_low),
            self.dropped.eq(ends & ~good),
        ]
        with m.If(ends):
            m.d.sync += receiving.eq(0)
        with m.If(reserve_high):
            m.d.sync += receiving.eq(1)
        m.d.comb += [self.frames.ready.eq(receiving), busy.eq(length_low | length_high)]

        full = Signal()  # `write` is as far from `read` as it may be
        byte_comes = receiving & self.frames.valid & ~frame.end
        takes_byte = byte_comes & ~full
        advance = takes_byte | length_low | reserve_low | reserve_high
        next_write = Signal.like(write)
        m.d.comb += next_write.eq(write + 1)
        with m.If(ends | length_high):
            m.d.sync += write.eq(start)
        with m.Elif(advance):
            m.d.sync += write.eq(next_write)
        end_of_payload = Signal.like(write)
        with m.If(ends):
            m.d.sync += end_of_payload.eq(write - CRC_BYTES)
        with m.If(length_low):
            m.d.sync += start.eq(end_of_payload)

        has_read = Signal()  # a cycle late, because what lets a byte out comes from far
        m.d.sync += has_read.eq(reads)
        with m.If(advance):
            m.d.sync += full.eq((next_write ^ read) == self.buffer_bytes)
        with m.Elif(has_read):
            m.d.sync += full.eq(0)

        with m.If(byte_comes & full):
            m.d.sync += overflowed.eq(1)
        with m.If(takes_byte):
            m.d.sync += bytes_after.eq(bytes_after + 1)
            with m.If(bytes_after == HEADER.size - 2):
                m.d.sync += long_enough.eq(1)
        with m.If(reserve_low):
            m.d.sync += [bytes_after.eq(length_init), long_enough.eq(0), overflowed.eq(0)]

        m.d.comb += [
            port.en.eq(takes_byte | length_low | length_high),
            port.addr.eq(write),
            port.data.eq(frame.data),
        ]
        with m.If(length_low):
            m.d.comb += port.data.eq(bytes_after[:8])
        with m.If(length_high):
            m.d.comb += port.data.eq(bytes_after[8:])

    def _read_packets(
        self, m: Module, port: memory.ReadPort, *, read: Signal, available: Value, reads: Signal
    ) -> None:
        # Three registers: one or two inside the block RAM, whose first one is slow, then `byte`. A
        # byte that `byte` has no room for waits in `spare`, so that nothing from behind `packets`
        # reaches the block RAM in the same cycle.
        read_out = Signal()
        read_out_byte = Signal(8, reset_less=True)
        fetched = Signal()
        fetched_byte = Signal(8, reset_less=True)
        spare = Signal(8)
        spare_valid = Signal()
        byte = Signal(8)
        byte_valid = Signal()
        byte_ready = Signal()
        m.d.comb += port.addr.eq(read)
        fetch = ~fetched | ~spare_valid
        with m.If(fetch):
            m.d.sync += [fetched.eq(read_out), fetched_byte.eq(read_out_byte)]
        with m.If(fetch | ~read_out):
            m.d.comb += reads.eq(available)
            m.d.sync += [read_out.eq(available), read_out_byte.eq(port.data)]
        with m.If(reads):
            m.d.sync += read.eq(read + 1)
        with m.If(~spare_valid):
            m.d.sync += spare.eq(fetched_byte)
        with m.If(~byte_valid | byte_ready):
            m.d.sync += [
                byte.eq(Mux(spare_valid, spare, fetched_byte)),
                byte_valid.eq(spare_valid | fetched),
                spare_valid.eq(0),
            ]
        with m.Elif(fetched):
            m.d.sync += spare_valid.eq(1)

        in_length_high, in_payload = Signal(), Signal()
        bytes_after = Signal(range(self.buffer_bytes))
        last = Signal()  # `bytes_after` is 0; no packet is that short to begin with
        m.d.comb += [
            self.bytes_after.eq(bytes_after),
            self.packets.p.data.eq(byte),
            self.packets.p.last.eq(last),
            self.packets.valid.eq(byte_valid & in_payload),
            byte_ready.eq(self.packets.ready | ~in_payload),
        ]
        with m.If(~in_payload):
            with m.If(in_length_high):
                m.d.sync += bytes_after[8:].eq(byte)
            with m.Else():
                m.d.sync += bytes_after[:8].eq(byte)
            with m.If(byte_valid):
                m.d.sync += [in_length_high.eq(~in_length_high), in_payload.eq(in_length_high)]
        with m.Elif(byte_valid & self.packets.ready):
            m.d.sync += [
                bytes_after.eq(bytes_after - 1),
                last.eq(bytes_after == 1),
                in_payload.eq(~last),
            ]
        nothing_read = ~read_out & ~fetched & ~byte_valid & ~in_length_high & ~in_payload
        m.d.comb += self.empty.eq(~available & nothing_read)
