"""What a board says of itself when it is asked to identify itself."""

from __future__ import annotations

from dataclasses import dataclass

from stepnet.cores.engine.shape import MEMORIES, EngineShape
from stepnet.cores.mac.shape import MacShape
from stepnet.errors import BoardError, LinkError, NetworkError
from stepnet.link import messages as protocol
from stepnet.link.messages import PROTOCOL_VERSION, Coding, Core

MAC_CORES = (Core.MAC, Core.MAC_SIGMOID)
"""The kinds of multiply-accumulate cores."""

_VERSION = protocol.Layout({**protocol.HEADER.fields, "protocol_version": 1})
"""The start of IDENTITY, whose layout is the same in every protocol version."""


@dataclass(frozen=True)
class Identity:
    """What a board says of itself; the fields of `protocol.IDENTITY`."""

    protocol_version: int
    core: int
    simd: int
    max_inputs: int
    weight_words: int
    parameter_words: int
    max_weight_bits: int
    weight_memory: int
    pe: int
    parameter_lanes: int
    sum_bits: int
    overlap_neurons: int
    buffer_bytes: int
    clock_hz: int
    loaded: int
    digest: int
    image_bytes: int
    dropped_frames: int
    map_words: int = 0
    codings: int = 0

    @property
    def takes_loads(self) -> bool:
        """A network can be loaded; otherwise the board has one built in for good."""
        return self.core in (Core.ENGINE, *MAC_CORES)

    @property
    def takes_coded_images(self) -> bool:
        """The board undoes what `stepnet.link.pixel_coding` codes."""
        return bool(self.codings & Coding.GROUPS)

    @property
    def shape(self) -> EngineShape:
        """The engine's shape; NetworkError if no engine can have it."""
        memories = dict(enumerate(MEMORIES))
        return EngineShape(
            simd=self.simd,
            max_inputs=self.max_inputs,
            weight_words=self.weight_words,
            parameter_words=self.parameter_words,
            max_weight_bits=self.max_weight_bits,
            weight_memory=memories.get(self.weight_memory, str(self.weight_memory)),
            pe=self.pe,
            parameter_lanes=self.parameter_lanes,
            max_sum_bits=self.sum_bits,
            overlap_neurons=self.overlap_neurons,
            map_words=self.map_words % TWO_WINDOWS,
            map_windows=1 + self.map_words // TWO_WINDOWS,
        )

    @property
    def mac_shape(self) -> MacShape:
        """The shape of the multiply-accumulate core, as far as a load depends on it: how many of
        its words are read whole is left out. NetworkError if no core can have it."""
        return MacShape(
            lanes=self.simd,
            weight_words=self.weight_words,
            max_pixels=self.max_inputs,
            max_hidden=self.parameter_words,
            sigmoid=self.core == Core.MAC_SIGMOID,
        )


SHAPE_FIELDS = (
    "simd",
    "max_inputs",
    "weight_words",
    "parameter_words",
    "max_weight_bits",
    "weight_memory",
    "pe",
    "parameter_lanes",
    "sum_bits",
    "overlap_neurons",
)
"""What every IDENTITY says of an engine's shape; all are 0 for another core. An engine that has
convolutions says `map_words` as well, behind `dropped_frames`."""

TWO_WINDOWS = 1 << 15
"""What `map_words` is larger by if the engine evaluates two windows at once."""


def shape_fields(shape: EngineShape) -> dict[str, int]:
    """The fields of IDENTITY that an engine of `shape` has; the inverse of `Identity.shape`."""
    map_words = shape.map_words + TWO_WINDOWS * (shape.map_windows - 1)
    maps = {"map_words": map_words} if map_words else {}
    return {
        "simd": shape.simd,
        "max_inputs": shape.max_inputs,
        "weight_words": shape.weight_words,
        "parameter_words": shape.parameter_words,
        "max_weight_bits": shape.max_weight_bits,
        "weight_memory": MEMORIES.index(shape.weight_memory),
        "pe": shape.pe,
        "parameter_lanes": shape.parameter_lanes,
        "sum_bits": shape.sum_bits,
        "overlap_neurons": shape.overlap_neurons,
        **maps,
    }


def read_identity(answer: bytes, where: str) -> Identity:
    """The identity in an answer to IDENTIFY.

    where: how the board is named in errors.

    Raises BoardError if the board has another protocol version or core, and LinkError if it says of
    its engine what cannot be.
    """
    version = _VERSION.unpack(answer)["protocol_version"]
    if version != PROTOCOL_VERSION:
        older = version < PROTOCOL_VERSION
        raise BoardError(
            f"The board at {where!r} speaks protocol version {version}, this stepnet "
            f"version {PROTOCOL_VERSION}; "
            + ("build its bitstream again." if older else "upgrade stepnet.")
        )
    fitting = [layout for layout in protocol.IDENTITIES if layout.size <= len(answer)]
    layout = fitting[-1] if fitting else protocol.IDENTITY
    fields = layout.unpack(answer)
    del fields["kind"], fields["sequence"]
    identity = Identity(**fields)
    if identity.core not in tuple(Core):
        raise BoardError(
            f"The board at {where!r} has a core of kind {identity.core}, which this "
            "stepnet does not know; upgrade stepnet."
        )
    if not identity.takes_loads:
        return identity
    if identity.core in MAC_CORES:
        _check_mac(identity, where)
        return identity
    try:
        _ = identity.shape
    except NetworkError as error:
        raise LinkError(
            f"The board at {where!r} says that it has an engine of SIMD {identity.simd} "
            f"with {identity.max_inputs} inputs, {identity.weight_words} weight words, "
            f"{identity.parameter_words} parameter words and {identity.max_weight_bits} weight "
            "bits, which cannot be; build its bitstream again."
        ) from error
    return identity


def _check_mac(identity: Identity, where: str) -> None:
    """Raise LinkError if the board says of its multiply-accumulate core what cannot be."""
    try:
        _ = identity.mac_shape
    except NetworkError as error:
        raise LinkError(
            f"The board at {where!r} says that it has a multiply-accumulate core of "
            f"{identity.simd} lanes with {identity.weight_words} words, which cannot be; build its "
            "bitstream again."
        ) from error
