"""The whole chip: a core behind its link, with a byte stream, serial pins or those of SPI."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.boards.identity import SHAPE_FIELDS
from stepnet.cores.engine.shape import EngineShape
from stepnet.cores.mac.program import MacNetwork
from stepnet.link.serial_line import divisor_for
from stepnet.networks.lut import LutNetwork
from stepnet.networks.network import Network
from stepnet.networks.spiking import SpikingNetwork
from stepnet_hdl.boards.mac_chips import MacChip
from stepnet_hdl.boards.spiking_chips import SpikingChip
from stepnet_hdl.boards.table_chips import TableChip, TableCore
from stepnet_hdl.cores.engine.engine import Engine, check_built_in
from stepnet_hdl.cores.interface import InferenceCore
from stepnet_hdl.cores.mac.mac import Mac
from stepnet_hdl.cores.pipeline.pipeline import Pipeline
from stepnet_hdl.cores.spiking.spiking_core import SpikingCore
from stepnet_hdl.cores.table_walk.table_walk import TableWalk
from stepnet_hdl.link.endpoint import Endpoint
from stepnet_hdl.link.spi import SpiPeripheral
from stepnet_hdl.link.uart import UartReceiver, UartTransmitter


def engine_for(network: Network | None, shape: EngineShape) -> Engine:
    """An engine of `shape` that runs a network from power-on, which None leaves empty; raises what
    `Engine` raises."""
    if network is not None:
        check_built_in(network, shape)
    return Engine(shape, network)


def table_core(network: LutNetwork, chip: TableChip | None = None) -> InferenceCore:
    """The core that is a network of look-up tables: the one of `chip`, or a pipeline."""
    if chip is not None and chip.core is TableCore.TABLE_WALK:
        return TableWalk(network)
    return Pipeline(network, registered=chip is None or chip.registered)


def mac_core(network: MacNetwork, chip: MacChip) -> Mac:
    """The multiply-accumulate core of `chip`, with the network at power-on where a bitstream can
    hold it."""
    return Mac(chip.shape, network if chip.holds_at_power_on else None)


def spiking_core(network: SpikingNetwork, chip: SpikingChip) -> SpikingCore:
    """The core that is a spiking network."""
    return SpikingCore(network, chip.lanes, chip.walk)


class Chip(wiring.Component):
    """A core behind its link endpoint, up to the bytes on the wire.

    core: the core that infers; it becomes part of this chip.
    clock_hz: frequency of the chip's clock, which is only told to the host.
    buffer_bytes: size of the receive buffer.
    answers_in_luts: saves a block RAM, see `Endpoint`.
    coded_images: it takes coded images as well, see `Endpoint`.
    """

    rx: stream.Interface
    """Stream of 8 bits, in: the requests of `stepnet.link.messages`, in frames."""
    tx: stream.Interface
    """Stream of 8 bits, out: the answers, in frames."""
    character: Signal
    """8 bits, out: the character register of the core."""
    loaded: Signal
    """1 bit, out: a network is loaded."""

    def __init__(
        self,
        core: InferenceCore,
        clock_hz: int,
        buffer_bytes: int = 2048,
        *,
        answers_in_luts: bool = False,
        coded_images: bool = False,
    ) -> None:
        self.core = core
        self.clock_hz = clock_hz
        self.buffer_bytes = buffer_bytes
        self.answers_in_luts = answers_in_luts
        self.coded_images = coded_images
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
        m.submodules[self.core.kind.name.lower()] = core = self.core
        m.submodules.endpoint = endpoint = Endpoint(
            {
                **dict.fromkeys(SHAPE_FIELDS, 0),
                **core.identity_fields,
                "core": core.kind,
                "clock_hz": self.clock_hz,
            },
            self.buffer_bytes,
            initial_digest=core.built_in_digest,
            takes_loads=core.takes_loads,
            answers_in_luts=self.answers_in_luts,
            coded_images=self.coded_images,
        )
        wiring.connect(m, wiring.flipped(self.rx), endpoint.rx)
        wiring.connect(m, endpoint.tx, wiring.flipped(self.tx))
        wiring.connect(m, endpoint.core, core)
        m.d.comb += [self.character.eq(core.character), self.loaded.eq(endpoint.loaded)]
        return m


class SerialChip(wiring.Component):
    """A `Chip` behind a UART: 8 data bits, no parity, 1 stop bit.

    baud: bits per second on the serial line; BuildError if `divisor_for` says so.
    core, clock_hz, buffer_bytes, answers_in_luts, coded_images: see `Chip`.
    """

    rx_pin: Signal
    """1 bit, in: the serial line from the host, 1 when idle. It is asynchronous."""
    tx_pin: Signal
    """1 bit, out: the serial line to the host, 1 when idle."""
    character: Signal
    """8 bits, out: the character register of the core."""
    loaded: Signal
    """1 bit, out: a network is loaded."""

    def __init__(
        self,
        core: InferenceCore,
        clock_hz: int,
        baud: int,
        buffer_bytes: int = 2048,
        *,
        answers_in_luts: bool = False,
        coded_images: bool = False,
    ) -> None:
        self.chip = Chip(
            core,
            clock_hz,
            buffer_bytes,
            answers_in_luts=answers_in_luts,
            coded_images=coded_images,
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


class SpiChip(wiring.Component):
    """A `Chip` that is the peripheral on an SPI line, of mode 0; see `SpiPeripheral`.

    It takes no coded images: a byte may come every 4 clock cycles, too soon for one that becomes
    eight.

    core, clock_hz, buffer_bytes, answers_in_luts: see `Chip`.
    """

    sck: Signal
    """1 bit, in: the line's clock, 0 when idle. It is asynchronous."""
    selected: Signal
    """1 bit, in: the controller speaks to this chip. It is asynchronous."""
    copi: Signal
    """1 bit, in: controller out, peripheral in."""
    cipo: Signal
    """1 bit, out: controller in, peripheral out."""
    character: Signal
    """8 bits, out: the character register of the core."""
    loaded: Signal
    """1 bit, out: a network is loaded."""

    def __init__(
        self,
        core: InferenceCore,
        clock_hz: int,
        buffer_bytes: int = 2048,
        *,
        answers_in_luts: bool = False,
    ) -> None:
        self.chip = Chip(core, clock_hz, buffer_bytes, answers_in_luts=answers_in_luts)
        super().__init__(
            {
                "sck": In(1),
                "selected": In(1),
                "copi": In(1),
                "cipo": Out(1),
                "character": Out(8),
                "loaded": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.chip = chip = self.chip
        m.submodules.spi = spi = SpiPeripheral()
        wiring.connect(m, spi.received, chip.rx)
        wiring.connect(m, chip.tx, spi.to_send)
        m.d.comb += [
            spi.sck.eq(self.sck),
            spi.selected.eq(self.selected),
            spi.copi.eq(self.copi),
            self.cipo.eq(spi.cipo),
            self.character.eq(chip.character),
            self.loaded.eq(chip.loaded),
        ]
        return m
