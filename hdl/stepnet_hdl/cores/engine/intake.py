"""Takes in what comes to an engine: the pixels of images, and the words of a network."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import IMAGE_BYTES_BITS, EngineShape
from stepnet_hdl.blocks.streams import PacketByte
from stepnet_hdl.cores.engine.load_intake import (
    LOAD_HEADER_BYTES,
    LoadIntake,
    MemoryWrites,
    MemoryWritesSignature,
)
from stepnet_hdl.cores.engine.pixel_intake import ImageBuffers, ImageBuffersSignature, PixelIntake


class Intake(wiring.Component):
    """Packs bytes into words, one byte per cycle, and says where the words belong.

    Pixels and loads share one shift register: a load that begins while an image is half received
    drops that image. A word is written `latency_cycles` after its last byte was taken. Two images
    are buffered, and `pixels` waits while both buffers are in use. `load` waits for two cycles
    only, and is over `load_cycles` after its last byte.

    initial_image_bytes: bytes of an image for the network that is there at power-on; 0 if there is
        none.
    """

    latency_cycles = 2
    """Cycles from taking the last byte of a word until that word is written."""

    load_cycles = 3
    """Cycles from taking the last byte of a load until `load_done`."""

    pixels: stream.Interface
    """Stream of 8 bits, in: packed images, one after another, `image_bytes` bytes each."""
    last_pixels: Signal
    """1 bit, out: the next byte of `pixels` is the last one of an image."""
    load: stream.Interface
    """Stream of `PacketByte`, in: address and space as in `messages.LOAD`, then memory words."""
    load_done: Signal
    """1 bit, out: 1 for one cycle, when a load is over."""
    load_refusal: Signal
    """8 bits, out: 0, or the `Refusal` that stopped the load; it counts while `load_done` is 1."""
    cancel: Signal
    """1 bit, in: complete and half-received images are void. It is never 1 while words are
    loaded."""
    cancelled: Signal
    """1 bit, out: complete and half-received images are void in this cycle, because of `cancel` or
    because a load begins."""
    image_bytes: Signal
    """16 bits, out: how many bytes make an image, which is parameter word 0."""
    word: Signal
    """`8 * max_word_bytes` bits, out: the word that is written; a shorter one ends at the top bit,
    see `top_bytes`."""
    writes: MemoryWrites
    """`MemoryWrites`, out: where `word` goes in the weight or the parameter memory."""
    write_pixels: Signal
    """1 bit, out: `word` holds pixels, and goes to place `images.words` of an image buffer."""
    image_buffer: Signal
    """1 bit, out: the number of the image buffer that `word` goes to."""
    pixels_blocked: Signal
    """1 bit, in: no byte of pixels is taken in this cycle, because the activation memory is written
    by something else `latency_cycles` later."""
    images: ImageBuffers
    """`ImageBuffers`, out: which images are there; it also takes in which are no longer needed."""

    def __init__(self, shape: EngineShape, initial_image_bytes: int = 0) -> None:
        self.shape = shape
        self.initial_image_bytes = initial_image_bytes
        self.max_word_bytes = max(shape.weight_bytes, shape.parameter_bytes, LOAD_HEADER_BYTES)
        super().__init__(
            {
                "pixels": In(stream.Signature(8)),
                "last_pixels": Out(1),
                "load": In(stream.Signature(PacketByte)),
                "load_done": Out(1),
                "load_refusal": Out(8),
                "cancel": In(1),
                "cancelled": Out(1),
                "image_bytes": Out(IMAGE_BYTES_BITS),
                "word": Out(8 * self.max_word_bytes),
                "writes": Out(MemoryWritesSignature(shape)),
                "write_pixels": Out(1),
                "image_buffer": Out(1),
                "pixels_blocked": In(1),
                "images": Out(ImageBuffersSignature(shape)),
            }
        )

    def top_bytes(self, count: int) -> slice:
        """Return which bits of `word` hold its last `count` bytes."""
        return slice(8 * (self.max_word_bytes - count), 8 * self.max_word_bytes)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sizes = (self.shape, self.initial_image_bytes, self.max_word_bytes)
        m.submodules.pixel_intake = pixels = PixelIntake(*sizes)
        m.submodules.load_intake = loads = LoadIntake(*sizes)
        wiring.connect(m, wiring.flipped(self.pixels), pixels.pixels)
        wiring.connect(m, wiring.flipped(self.load), loads.load)
        wiring.connect(m, wiring.flipped(self.images), pixels.images)
        wiring.connect(m, wiring.flipped(self.writes), loads.writes)
        restart = self.cancelled | loads.ends
        word_bytes = self._shift(m, pixels, loads, restart)
        m.d.comb += [
            self.last_pixels.eq(pixels.last_pixels),
            self.load_done.eq(loads.done),
            self.load_refusal.eq(loads.refusal),
            self.image_bytes.eq(loads.image_bytes),
            self.cancelled.eq(self.cancel | loads.begins),
            self.write_pixels.eq(pixels.write),
            self.image_buffer.eq(pixels.buffer),
            pixels.image_bytes.eq(loads.image_bytes),
            pixels.blocked.eq(self.pixels_blocked),
            pixels.cancel.eq(self.cancelled),
            pixels.load_begins.eq(loads.begins),
            pixels.load_ends.eq(loads.ends),
            pixels.word_bytes.eq(word_bytes),
            loads.word_bytes.eq(word_bytes),
            loads.word.eq(self.word),
        ]
        return m

    def _shift(self, m: Module, pixels: PixelIntake, loads: LoadIntake, restart: Value) -> Signal:
        """Shift the bytes into words; return how many bytes of the current word have been taken."""
        # A byte is taken in one cycle and enters the word in the next: the word is wide, and what
        # lets a byte in comes from far.
        byte = Signal(8)
        taken = Signal()
        take = pixels.take | loads.take
        m.d.sync += [
            byte.eq(Mux(loads.idle, self.pixels.p, self.load.p.data)),
            taken.eq(take),
        ]
        word_bytes = Signal(range(self.max_word_bytes))
        completes = Mux(loads.idle, pixels.completes, loads.completes)
        with m.If(take):
            m.d.sync += word_bytes.eq(Mux(completes, 0, word_bytes + 1))

        # Bytes enter at the top. What a shorter last word leaves below it has to be 0.
        word = Signal(8 * self.max_word_bytes, reset_less=True)
        begins = Signal(init=1)  # the next byte is the first of a word of pixels
        shifted = Cat(Mux(begins, 0, word[8:]), byte)
        m.d.comb += [self.word.eq(word), loads.shifted.eq(shifted)]
        with m.If(taken):
            m.d.sync += [word.eq(shifted), begins.eq(pixels.ends_word)]
        with m.If(restart):
            m.d.sync += [taken.eq(0), word_bytes.eq(0), begins.eq(1)]
        return word_bytes
