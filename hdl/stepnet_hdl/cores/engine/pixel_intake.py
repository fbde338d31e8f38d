"""Takes the pixels that come in, into one of two image buffers."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from stepnet.cores.engine.shape import IMAGE_BYTES_BITS, EngineShape


class ImageBuffers(wiring.PureInterface):
    """The state of an engine's two image buffers. Directions are those of the intake."""

    complete: Signal
    """2 bits, out: for each buffer, whether it holds a whole image."""
    complete_next: Signal
    """2 bits, out: for each buffer, whether it will hold a whole image in the next cycle."""
    words: Signal
    """`range(row_words)`, out: how many words of the image that is being received are in its
    buffer."""
    word_comes: Signal
    """1 bit, out: one more word of an image is in its buffer from the next cycle on."""
    done: Signal
    """2 bits, in: for each buffer, 1 for one cycle when the image in it is no longer needed."""


class ImageBuffersSignature(wiring.Signature):
    """The signature of `ImageBuffers`."""

    def __init__(self, shape: EngineShape) -> None:
        super().__init__(
            {
                "complete": Out(2),
                "complete_next": Out(2),
                "words": Out(range(shape.row_words)),
                "word_comes": Out(1),
                "done": In(2),
            }
        )

    def create(self, *, path: Iterable[str | int] = (), src_loc_at: int = 0) -> ImageBuffers:
        return ImageBuffers(self, path=tuple(path), src_loc_at=1 + src_loc_at)


class PixelIntake(wiring.Component):
    """Takes the bytes of images while one of two buffers is free, and says which word of which
    buffer they complete.

    A word is written `latency_cycles` after its last byte was taken.

    initial_image_bytes: bytes of an image for the network that is there at power-on; 0 if there is
        none.
    max_word_bytes: bytes of the shift register in which words are gathered.
    """

    latency_cycles = 2
    """Cycles from taking the last byte of a word until that word is written."""

    image_gap_cycles = 2
    """Cycles that `pixels` waits after the last byte of an image, if the other buffer is free."""

    pixels: stream.Interface
    """Stream of 8 bits, in: packed images, one after another."""
    last_pixels: Signal
    """1 bit, out: the next byte of `pixels` is the last one of an image."""
    image_bytes: Signal
    """16 bits, in: how many bytes make an image."""
    blocked: Signal
    """1 bit, in: no byte is taken in this cycle, because the activation memory is written by
    something else `latency_cycles` later."""
    cancel: Signal
    """1 bit, in: complete and half-received images are void, and the next one goes to buffer 0."""
    load_begins: Signal
    """1 bit, in: no pixels are taken from the next cycle on. It comes with `cancel`."""
    load_ends: Signal
    """1 bit, in: pixels may be taken again from the next cycle on."""
    word_bytes: Signal
    """`range(max_word_bytes)`, in: how many bytes of the current word have been taken."""
    take: Signal
    """1 bit, out: a byte of `pixels` is taken in this cycle."""
    completes: Signal
    """1 bit, out: the next byte to be taken is the last one of its word."""
    ends_word: Signal
    """1 bit, out: the byte that was taken in the cycle before is the last one of its word."""
    write: Signal
    """1 bit, out: a word of pixels is written in this cycle."""
    buffer: Signal
    """1 bit, out: the number of the image buffer that the word goes to."""
    images: ImageBuffers
    """`ImageBuffers`, out: which images are there; it also takes in which are no longer needed.
    `images.words` is the place in its buffer that the next word goes to."""

    def __init__(self, shape: EngineShape, initial_image_bytes: int, max_word_bytes: int) -> None:
        self.shape = shape
        self.initial_image_bytes = initial_image_bytes
        # amaranth-stubs know the initial value of a port by its old name alone.
        last_pixels: Any = {"init": int(initial_image_bytes == 1)}
        super().__init__(
            {
                "pixels": In(stream.Signature(8)),
                "last_pixels": Out(1, **last_pixels),
                "image_bytes": In(IMAGE_BYTES_BITS),
                "blocked": In(1),
                "cancel": In(1),
                "load_begins": In(1),
                "load_ends": In(1),
                "word_bytes": In(range(max_word_bytes)),
                "take": Out(1),
                "completes": Out(1),
                "ends_word": Out(1),
                "write": Out(1),
                "buffer": Out(1),
                "images": Out(ImageBuffersSignature(shape)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        image_byte = Signal(range(self.shape.max_inputs // 8))  # taken of this image so far
        ends_image = Signal()  # with the word that `ends_word` speaks of
        image_ends = Signal()  # with the word that is written in this cycle
        m.d.comb += [
            self.completes.eq((self.word_bytes == self.shape.weight_bytes - 1) | self.last_pixels),
        ]
        m.d.sync += [
            self.ends_word.eq(self.take & self.completes),
            ends_image.eq(self.take & self.last_pixels),
            self.write.eq(self.ends_word),
            image_ends.eq(ends_image),
        ]
        self._find_last_byte(m, image_byte)
        self._open_and_close(m, image_ends)
        self._keep_buffers(m, image_ends)
        with m.If(self.take):
            m.d.sync += image_byte.eq(Mux(self.last_pixels, 0, image_byte + 1))
        with m.If(self.write):
            m.d.sync += self.images.words.eq(self.images.words + 1)
        with m.If(image_ends):
            m.d.sync += [self.images.words.eq(0), self.buffer.eq(~self.buffer)]
        with m.If(self.cancel):
            m.d.sync += [
                self.ends_word.eq(0),
                ends_image.eq(0),
                self.write.eq(0),
                image_ends.eq(0),
                image_byte.eq(0),
                self.images.words.eq(0),
                self.buffer.eq(0),
            ]
        return m

    def _find_last_byte(self, m: Module, image_byte: Signal) -> None:
        """Know before it comes that a byte is an image's last one, because much follows from it."""
        one_byte = Signal(init=self.initial_image_bytes == 1)  # is all of an image
        last_but_one = Signal.like(image_byte, init=max(0, self.initial_image_bytes - 2))
        begins = Signal(init=1)  # the next byte is an image's first one
        m.d.sync += [one_byte.eq(self.image_bytes == 1), last_but_one.eq(self.image_bytes - 2)]
        with m.If(self.take):
            m.d.sync += [
                begins.eq(self.last_pixels),
                self.last_pixels.eq(Mux(self.last_pixels, one_byte, image_byte == last_but_one)),
            ]
        with m.If(self.cancel):
            m.d.sync += begins.eq(1)
        with m.If(self.cancel | (begins & ~self.take)):
            m.d.sync += self.last_pixels.eq(one_byte)

    def _open_and_close(self, m: Module, image_ends: Signal) -> None:
        """Let pixels wait while no buffer is free, and while words are loaded."""
        is_open = Signal(init=1)  # a register, because `ready` goes far
        m.d.comb += [
            self.pixels.ready.eq(is_open & ~self.blocked),
            self.take.eq(self.pixels.valid & self.pixels.ready),
        ]
        next_buffer = Mux(image_ends, ~self.buffer, self.buffer)
        with m.If(self.images.done.bit_select(next_buffer, 1)):
            m.d.sync += is_open.eq(1)
        with m.Elif(image_ends):
            m.d.sync += is_open.eq(~self.images.complete.bit_select(next_buffer, 1))
        with m.If(self.take & self.last_pixels):
            m.d.sync += is_open.eq(0)
        with m.If(self.cancel | self.load_ends):
            m.d.sync += is_open.eq(~self.load_begins)

    def _keep_buffers(self, m: Module, image_ends: Signal) -> None:
        """Remember which buffers hold whole images."""
        images = self.images
        m.d.comb += images.word_comes.eq(self.write)
        for buffer in range(2):
            completed = image_ends & (self.buffer == buffer)
            complete = images.complete[buffer] | completed
            void = images.done[buffer] | self.cancel
            m.d.comb += images.complete_next[buffer].eq(complete & ~void)
        m.d.sync += images.complete.eq(images.complete_next)
