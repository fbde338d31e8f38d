"""What comes into an engine: pixels of images, and the words of a network."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import IMAGE_BYTES_BITS, EngineShape
from stepnet.link.messages import HEADER, LOAD, Refusal, Space
from stepnet_hdl.blocks.streams import PacketByte

ADDRESS_BYTES = LOAD.fields["address"]
LOAD_HEADER_BYTES = LOAD.size - HEADER.size


class Intake(wiring.Component):
    """Packs bytes into words and writes them where they belong, one byte per cycle.

    Both streams share one shift register: a load while an image is half received drops that image.
    Two images are buffered: `pixels` waits while both are in use.

    initial_image_bytes: those of a network that is there at power-on; 0 for none.

    Members
    -------
    pixels : stream of 8 bits, in
        Packed images, one after another; `image_bytes` bytes make an image.
    last_pixels : Signal(1), out
        The next pixels are an image's last ones.
    load : stream of PacketByte, in
        Address and space as in `protocol.LOAD`, then memory words; only the first byte waits, for
        one cycle, and so does the first one of the words. `load_done` is 1 for one cycle, three
        after the last byte of each load, and `load_refusal` is then 0 or the `protocol.Refusal`
        that stopped it.
    load_done : Signal(1), out
    load_refusal : Signal(8), out
    clear : Signal(1), in
        Forgets complete and half-received images; the next one goes to buffer 0.
    forgotten : Signal(1), out
        That happens in this cycle, because of `clear` or a load.
    image_bytes : Signal(16), out
        Bytes of one image: parameter word 0.
    word : Signal(max(simd, ...)), out
        Word being written, two cycles after its last byte was taken; shorter words end at its top
        bit.
    address, lane : Signal, out
        Where in weight or parameter memory it goes: word, and lane of the word.
    write_weights, write_parameters : Signal(1), out
    loading : Signal(1), out
        Words of a load are being taken.
    image_word : Signal(range(row_words)), out
        Where in the image buffer the next pixel word goes; those before are there.
    image_buffer : Signal(1), out
        Which image buffer it goes to.
    write_pixels : Signal(1), out
        The pixel word is written in this cycle, the second after its last pixels were taken.
    pixels_blocked : Signal(1), in
        The activation memory is written by someone else two cycles later: hold the pixels.
    image_complete, image_complete_next : Signal(2), out
        Per buffer: holds an image; will do so in the next cycle.
    image_done : Signal(2), in
        Per buffer, for one cycle: the image is no longer needed.
    """

    pixels: stream.Interface
    last_pixels: Signal
    load: stream.Interface
    load_done: Signal
    load_refusal: Signal
    clear: Signal
    forgotten: Signal
    image_bytes: Signal
    word: Signal
    address: Signal
    lane: Signal
    write_weights: Signal
    write_parameters: Signal
    loading: Signal
    image_word: Signal
    image_buffer: Signal
    write_pixels: Signal
    pixels_blocked: Signal
    image_complete: Signal
    image_complete_next: Signal
    image_done: Signal

    def __init__(self, shape: EngineShape, initial_image_bytes: int = 0) -> None:
        self.shape = shape
        self.initial_image_bytes = initial_image_bytes
        self.word_bits = 8 * max(shape.weight_bytes, shape.parameter_bytes, LOAD_HEADER_BYTES)
        super().__init__(
            {
                "pixels": In(stream.Signature(8)),
                "last_pixels": Out(1),
                "load": In(stream.Signature(PacketByte)),
                "load_done": Out(1),
                "load_refusal": Out(8),
                "clear": In(1),
                "forgotten": Out(1),
                "image_bytes": Out(IMAGE_BYTES_BITS),
                "word": Out(self.word_bits),
                "address": Out(range(max(shape.weight_words, shape.parameter_words))),
                "lane": Out(range(max(shape.pe, shape.parameter_lanes))),
                "write_weights": Out(1),
                "write_parameters": Out(1),
                "loading": Out(1),
                "image_word": Out(range(shape.row_words)),
                "image_buffer": Out(1),
                "write_pixels": Out(1),
                "pixels_blocked": In(1),
                "image_complete": Out(2),
                "image_complete_next": Out(2),
                "image_done": In(2),
            }
        )

    def top_bytes(self, count: int) -> slice:
        """Bits of `word` that hold the last `count` bytes."""
        return slice(self.word_bits - 8 * count, self.word_bits)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = self.shape

        # A byte is taken in one cycle and enters the word in the next: the word is wide, and what
        # lets a byte in comes from far.
        next_byte = Signal(8)
        take = Signal()
        byte = Signal(8)
        taken = Signal()
        ends_word = Signal()  # `byte` is the last of a word of pixels
        ends_image = Signal()  # and of its image
        m.d.sync += [byte.eq(next_byte), taken.eq(take), ends_word.eq(0), ends_image.eq(0)]

        # Bytes enter at the top. What a shorter last word leaves below it has to be 0.
        word = Signal(self.word_bits, reset_less=True)
        shifted = Signal(self.word_bits)
        begins = Signal(init=1)  # the next byte is the first of a word of pixels
        m.d.comb += [
            shifted.eq(Cat(Mux(begins, 0, word[8:]), byte)),
            self.word.eq(word),
        ]
        with m.If(taken):
            m.d.sync += [word.eq(shifted), begins.eq(ends_word)]

        word_bytes = Signal(range(self.word_bits // 8))  # taken of this word so far
        image_byte = Signal(range(shape.max_inputs // 8))  # taken of this image so far
        last_image_byte = Signal.like(image_byte, init=max(0, self.initial_image_bytes - 1))
        last_of_image = self.last_pixels
        image_bytes = Signal(range(shape.max_inputs // 8 + 1), init=self.initial_image_bytes)
        m.d.comb += self.image_bytes.eq(image_bytes)
        m.d.sync += last_image_byte.eq(image_bytes - 1)
        m.d.comb += last_of_image.eq(image_byte == last_image_byte)
        image_ends = Signal()  # with the word that is written in this cycle

        space = Signal(Space)
        beyond = Signal()  # the address has left its memory
        m.d.sync += [
            self.load_done.eq(0),
            self.write_pixels.eq(ends_word),
            image_ends.eq(ends_image),
        ]

        to_weights = space == Space.WEIGHTS
        ends_memory_word = Signal()
        m.d.sync += ends_memory_word.eq(0)
        self._take_words(m, ends_memory_word, to_weights, beyond, shifted, image_bytes)

        # There is a buffer for the next pixels, and no load. A register, because `ready` goes far.
        is_open = Signal(init=1)
        take_pixel = Signal()
        m.d.comb += [
            self.pixels.ready.eq(is_open & ~self.pixels_blocked),
            take_pixel.eq(self.pixels.valid & self.pixels.ready),
        ]
        next_buffer = Mux(image_ends, ~self.image_buffer, self.image_buffer)
        is_done = self.image_done.bit_select(next_buffer, 1)
        with m.If(is_done):
            m.d.sync += is_open.eq(1)
        with m.Elif(image_ends):
            m.d.sync += is_open.eq(~self.image_complete.bit_select(next_buffer, 1))

        loads = Signal()  # if there is a byte to load
        completes = Signal()  # the next byte is the last of a word
        m.d.comb += take.eq(take_pixel | (loads & self.load.valid))
        with m.If(take):
            m.d.sync += word_bytes.eq(Mux(completes, 0, word_bytes + 1))
        with m.If(take_pixel):
            m.d.sync += [
                image_byte.eq(Mux(last_of_image, 0, image_byte + 1)),
                ends_word.eq(completes),
                ends_image.eq(last_of_image),
            ]
            with m.If(last_of_image):
                m.d.sync += is_open.eq(0)

        with m.FSM():
            with m.State("PIXELS"):
                m.d.comb += [
                    next_byte.eq(self.pixels.p),
                    completes.eq((word_bytes == shape.weight_bytes - 1) | last_of_image),
                ]
                with m.If(self.write_pixels):
                    m.d.sync += self.image_word.eq(self.image_word + 1)
                with m.If(image_ends):
                    m.d.sync += [
                        self.image_word.eq(0),
                        self.image_buffer.eq(~self.image_buffer),
                    ]
                m.d.comb += self.forgotten.eq(self.clear | self.load.valid)
                with m.If(self.forgotten):
                    m.d.sync += [
                        taken.eq(0),
                        ends_word.eq(0),
                        ends_image.eq(0),
                        begins.eq(1),
                        word_bytes.eq(0),
                        self.write_pixels.eq(0),
                        image_ends.eq(0),
                        image_byte.eq(0),
                        self.image_word.eq(0),
                        self.image_buffer.eq(0),
                        is_open.eq(1),
                    ]
                with m.If(self.load.valid):
                    m.d.sync += [self.load_refusal.eq(0), is_open.eq(0)]
                    m.next = "LOAD_ADDRESS"

            with m.State("LOAD_ADDRESS"):
                m.d.comb += [
                    next_byte.eq(self.load.p.data),
                    self.load.ready.eq(1),
                    loads.eq(1),
                    completes.eq(word_bytes == LOAD_HEADER_BYTES - 1),
                ]
                with m.If(self.load.valid):
                    with m.If(word_bytes == LOAD_HEADER_BYTES - 1):
                        m.next = "LOAD_PLACE"
                    with m.If(self.load.p.last):
                        m.d.sync += self.load_refusal.eq(Refusal.WRONG_LENGTH)
                        m.next = "LOAD_END"

            with m.State("LOAD_PLACE"):
                header = shifted[self.top_bytes(LOAD_HEADER_BYTES)]
                address, given_space = header[: 8 * ADDRESS_BYTES], header[8 * ADDRESS_BYTES :]
                given_weights = given_space == Space.WEIGHTS
                weight_lane, weight_word = _split(address, shape.weight_lane_bits)
                parameter_lane, parameter_word = _split(address, shape.parameter_lane_bits)
                beyond_weights = (weight_word >= shape.weight_words) | (weight_lane >= shape.pe)
                beyond_parameters = (parameter_word >= shape.parameter_words) | (
                    parameter_lane >= shape.parameter_lanes
                )
                m.d.sync += [
                    self.address.eq(Mux(given_weights, weight_word, parameter_word)),
                    self.lane.eq(Mux(given_weights, weight_lane, parameter_lane)),
                    space.eq(given_space),
                    beyond.eq(
                        (given_space > Space.WEIGHTS)
                        | Mux(given_weights, beyond_weights, beyond_parameters)
                    ),
                ]
                m.next = "LOAD_WORDS"

            with m.State("LOAD_WORDS"):
                last_byte = Mux(to_weights, shape.weight_bytes - 1, shape.parameter_bytes - 1)
                m.d.comb += [
                    self.loading.eq(1),
                    next_byte.eq(self.load.p.data),
                    self.load.ready.eq(1),
                    loads.eq(1),
                    completes.eq(word_bytes == last_byte),
                ]
                with m.If(self.load.valid):
                    m.d.sync += ends_memory_word.eq(word_bytes == last_byte)
                    with m.If(self.load.p.last):
                        m.next = "LOAD_END"
                        with m.If(word_bytes != last_byte):
                            m.d.sync += self.load_refusal.eq(Refusal.WRONG_LENGTH)

            # The last word is whole one cycle later, and what is said of it is known then.
            with m.State("LOAD_END"):
                m.d.comb += self.loading.eq(1)
                m.next = "LOAD_DONE"

            with m.State("LOAD_DONE"):
                m.d.comb += self.loading.eq(1)
                m.d.sync += [
                    self.load_done.eq(1),
                    word_bytes.eq(0),
                    begins.eq(1),
                    is_open.eq(1),
                ]
                m.next = "PIXELS"

        for buffer in range(2):
            completed = image_ends & (self.image_buffer == buffer)
            complete = self.image_complete[buffer] | completed
            void = self.image_done[buffer] | self.forgotten
            m.d.comb += self.image_complete_next[buffer].eq(complete & ~void)
        m.d.sync += self.image_complete.eq(self.image_complete_next)
        return m

    def _take_words(
        self,
        m: Module,
        ends_word: Signal,
        to_weights: Value,
        beyond: Signal,
        word: Signal,
        image_bytes: Signal,
    ) -> None:
        """Write every memory word that is received, unless it is `beyond` its memory.

        ends_word: the last byte of one is entering; `word` is what comes of it.
        image_bytes: the first parameter word goes there too.
        """
        shape = self.shape
        whole = Signal()  # a word has been received
        ends_lanes = self.lane == Mux(to_weights, shape.pe - 1, shape.parameter_lanes - 1)
        last_address = Mux(to_weights, shape.weight_words - 1, shape.parameter_words - 1)
        goes_beyond = beyond | (whole & ends_lanes & (self.address == last_address))
        first_bytes = word[self.top_bytes(shape.parameter_bytes)]
        no_image_bytes = Signal()
        m.d.sync += [
            whole.eq(ends_word),
            self.write_weights.eq(ends_word & to_weights & ~goes_beyond),
            self.write_parameters.eq(ends_word & ~to_weights & ~goes_beyond),
            no_image_bytes.eq((first_bytes == 0) | (first_bytes > shape.max_inputs // 8)),
        ]
        with m.If(whole):
            m.d.sync += [self.lane.eq(self.lane + 1), beyond.eq(goes_beyond)]
            with m.If(ends_lanes):
                m.d.sync += [self.lane.eq(0), self.address.eq(self.address + 1)]
            with m.If(beyond):
                m.d.sync += self.load_refusal.eq(Refusal.OUT_OF_RANGE)
        first_word = (self.address == 0) & (self.lane == 0)
        with m.If(self.write_parameters & first_word):
            with m.If(no_image_bytes):
                m.d.sync += self.load_refusal.eq(Refusal.OUT_OF_RANGE)
            with m.Else():
                m.d.sync += image_bytes.eq(self.word[self.top_bytes(shape.parameter_bytes)])


def _split(address: Value, lane_bits: int) -> tuple[Value, Value]:
    """Lane and word of an address on the link."""
    return address[:lane_bits], address[lane_bits:]
