"""What a whole chip has to answer when it runs networks that are known."""

from collections.abc import Iterable

from stepnet.boards.model import BoardModel, CoreReading, EngineModel
from stepnet.link.messages import HEADER, READING, Answer, Refusal, Request
from stepnet.link.serial_line import BITS_PER_BYTE
from stepnet_hdl.link.endpoint import Endpoint
from stepnet_sim.benches.networks import Program
from stepnet_sim.chips.design import Design


class ChipModel(BoardModel):
    """A `BoardModel` of a chip of `design`.

    programs: the networks that will be loaded, so that a digest tells which one it is. A load with
    another digest is taken for a program without a last layer.

    character: what the character register has to hold.
    """

    def __init__(self, design: Design, programs: Iterable[Program]) -> None:
        self.engine = EngineModel(design.shape, self._read)
        super().__init__(
            self.engine,
            buffer_bytes=design.buffer_bytes,
            clock_hz=design.clock_hz,
            coded_images=design.coded_images,
        )
        self._byte_cycles = BITS_PER_BYTE * design.clock_hz // design.baud
        self._programs = {program.memory.digest: program for program in programs}
        self._coded_numbers: set[int] = set()
        self.character = 0

    def answer_to(self, request: bytes) -> bytes:
        """See `BoardModel.answer_to`."""
        if request[0] == Request.INFER_CODED:
            self._coded_numbers.add(HEADER.unpack(request)["sequence"])
        return super().answer_to(request)

    def without_cycles(self, answer: bytes) -> bytes:
        """An answer with its cycles, which depend on when the image came, checked and set to 0."""
        if HEADER.unpack(answer)["kind"] != Answer.READING:
            return answer
        fields = READING.unpack(answer)
        program = self._programs[self.digest]
        paces = (Endpoint.PIXEL_CYCLES, self._byte_cycles)
        allowed = {program.cycles_at(pace) for pace in paces}
        if fields["sequence"] in self._coded_numbers:
            # A byte of a coded image is followed by the zeros behind it at once.
            allowed = range(min(allowed), program.cycles_at(1) + 1)
        assert fields["cycles"] in allowed
        return READING.pack(**{**fields, "cycles": 0})

    def _read(self, digest: int, image: bytes) -> CoreReading | Refusal:
        program = self._programs.get(digest)
        if program is None:
            return Refusal.PROGRAM_OVERRUN
        self.character = program.code(image)
        return CoreReading(self.character, program.margin(image), self._cycles_of(program))

    def _cycles_of(self, program: Program) -> int:
        """The cycles of a reading as `without_cycles` leaves them."""
        return 0
