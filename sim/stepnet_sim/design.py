"""Which chip the virtual board is."""

from dataclasses import dataclass, field

from stepnet.engine import EngineShape
from stepnet.network import Network
from stepnet.protocol import DEFAULT_BAUD
from stepnet_hdl.boards import PARTS
from stepnet_hdl.chip import Chip, SerialChip

ICEBREAKER = PARTS["iCE40UP5K"]


@dataclass(frozen=True)
class Design:
    """A chip to simulate; by default the iCEBreaker's.

    uart: with serial pins at `baud`, instead of the byte streams behind them.
    network: built in; None for none.
    """

    shape: EngineShape = ICEBREAKER.shape
    clock_hz: int = ICEBREAKER.clock_hz
    buffer_bytes: int = ICEBREAKER.buffer_bytes
    uart: bool = False
    baud: int = DEFAULT_BAUD
    network: Network | None = field(default=None, repr=False)

    def component(self) -> Chip | SerialChip:
        """A fresh instance of its gateware."""
        if self.uart:
            return SerialChip(
                self.shape, self.clock_hz, self.baud, self.buffer_bytes, network=self.network
            )
        return Chip(self.shape, self.clock_hz, self.buffer_bytes, network=self.network)
