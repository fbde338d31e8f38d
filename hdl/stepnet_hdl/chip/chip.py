"""The whole chip: an engine behind its link, with a byte stream or with serial pins."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from stepnet.boards.identity import shape_fields
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.messages import Core
from stepnet.link.serial_line import divisor_for
from stepnet.networks.network import Network
from stepnet_hdl.blocks.streams import PacketByte
from stepnet_hdl.cores.engine.engine import Engine
from stepnet_hdl.link.endpoint import Endpoint
from stepnet_hdl.link.uart import UartReceiver, UartTransmitter


class Chip(wiring.Component):
    """An engine behind its link endpoint, up to the bytes on the wire.

    shape: of the engine.
    clock_hz: what the chip is clocked with; it only tells the host.
    buffer_bytes: of the receive buffer.
    answers_in_luts: saves a block RAM, see `Endpoint`.
    network: is loaded from power-on, and over the link replaced like any other; None for none.
    NetworkError if it does not fit, BuildError if the weights are in single-port RAM.

    Members
    -------
    rx, tx : streams of 8 bits, in and out
        The link of `stepnet.link.messages`.
    character : Signal(8), out
        The character register.
    loaded : Signal(1), out
        A network is loaded.
    """

    rx: stream.Interface
    tx: stream.Interface
    character: Signal
    loaded: Signal

    def __init__(
        self,
        shape: EngineShape,
        clock_hz: int,
        buffer_bytes: int = 2048,
        *,
        answers_in_luts: bool = False,
        network: Network | None = None,
    ) -> None:
        self.shape = shape
        self.clock_hz = clock_hz
        self.buffer_bytes = buffer_bytes
        self.answers_in_luts = answers_in_luts
        initial = memory_image(network, shape) if network else None
        self._engine = Engine(shape, initial)
        self._initial_digest = initial.digest if initial else None
        super().__init__(
            {
                "rx": In(stream.Signature(8)),
                "tx": Out(stream.Signature(8)),
                "character": Out(8),
                "loaded": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        identity = {
            "core": Core.ENGINE,
            **shape_fields(self.shape),
            "clock_hz": self.clock_hz,
        }
        m.submodules.endpoint = endpoint = Endpoint(
            identity,
            self.buffer_bytes,
            initial_digest=self._initial_digest,
            answers_in_luts=self.answers_in_luts,
        )
        m.submodules.engine = engine = self._engine
        wiring.connect(m, wiring.flipped(self.rx), endpoint.rx)
        wiring.connect(m, endpoint.tx, wiring.flipped(self.tx))
        wiring.connect(m, endpoint.pixels, engine.pixels)
        # Words of a network may take their time: this keeps a long way out of the clock.
        m.submodules.load = load = SyncFIFOBuffered(width=PacketByte.size, depth=1)
        # Typed as Any because amaranth-stubs take a FIFO's streams for their signatures.
        load_in: Any = load.w_stream
        load_out: Any = load.r_stream
        wiring.connect(m, endpoint.load, load_in)
        wiring.connect(m, load_out, engine.load)
        wiring.connect(m, engine.readings, endpoint.readings)
        m.d.comb += [
            engine.clear.eq(endpoint.clear),
            engine.tentative.eq(endpoint.tentative),
            endpoint.last_pixels.eq(engine.last_pixels),
            endpoint.load_done.eq(engine.load_done),
            endpoint.load_refusal.eq(engine.load_refusal),
            endpoint.image_bytes.eq(engine.image_bytes),
            self.character.eq(engine.character),
            self.loaded.eq(endpoint.loaded),
        ]
        return m


class SerialChip(wiring.Component):
    """A `Chip` behind a UART: 8 data bits, no parity, 1 stop bit.

    baud: bits per second; BuildError if `clock_hz` is too far from a multiple of it.
    Others: as of `Chip`.

    Members
    -------
    rx_pin : Signal(1), in
        From the host; idle high. Asynchronous.
    tx_pin : Signal(1), out
        To the host; idle high.
    character : Signal(8), out
    loaded : Signal(1), out
        As of `Chip`.
    """

    rx_pin: Signal
    tx_pin: Signal
    character: Signal
    loaded: Signal

    def __init__(
        self,
        shape: EngineShape,
        clock_hz: int,
        baud: int,
        buffer_bytes: int = 2048,
        *,
        answers_in_luts: bool = False,
        network: Network | None = None,
    ) -> None:
        self.chip = Chip(
            shape, clock_hz, buffer_bytes, answers_in_luts=answers_in_luts, network=network
        )
        self.divisor = divisor_for(clock_hz, baud)
        super().__init__({"rx_pin": In(1), "tx_pin": Out(1), "character": Out(8), "loaded": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.chip = chip = self.chip
        m.submodules.receiver = receiver = UartReceiver(self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
        wiring.connect(m, receiver.bytes, chip.rx)
        wiring.connect(m, chip.tx, transmitter.bytes)
        m.d.comb += [
            receiver.rx.eq(self.rx_pin),
            self.tx_pin.eq(transmitter.tx),
            self.character.eq(chip.character),
            self.loaded.eq(chip.loaded),
        ]
        return m
