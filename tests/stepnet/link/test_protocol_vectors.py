"""The test vectors of docs/protocol.md, packed and parsed, and the frames that the page prints."""

import binascii
import json
import re
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs
from PIL import Image

import engine_memory
from stepnet import Layer, Network, samples
from stepnet.cores.engine.cycles import cycles_per_image
from stepnet.cores.engine.memory_image import memory_image
from stepnet.cores.engine.shape import MEMORIES, EngineShape
from stepnet.link import messages as protocol
from stepnet.link.frames import CRC_INITIAL, FrameReader, decode_frame, encode_frame
from stepnet.link.messages import Answer, Refusal, Request
from stepnet.link.pixel_coding import code_images
from stepnet.networks import reference

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "protocol.md").read_text()
VECTORS = json.loads((DOCS / "protocol_vectors.json").read_text())

CONVERSATION = VECTORS["conversation"]
MESSAGES = {entry["name"]: entry for entry in VECTORS["messages"]} | {
    f"{exchange['name']}, {side}": exchange[side]
    for exchange in CONVERSATION
    for side in ("request", "answer")
}
KINDS = {kind.name: kind for kind in (*Request, *Answer)}
NAMES = {kind.value: name for name, kind in KINDS.items()}

EXPECTED_ANSWERS = {
    "IDENTIFY": "IDENTITY",
    "CLEAR": "ACKNOWLEDGE",
    "LOAD": "ACKNOWLEDGE",
    "COMMIT": "ACKNOWLEDGE",
    "INFER": "READING",
    "INFER_CODED": "READING",
}


def data(hexadecimal):
    return bytes.fromhex(hexadecimal)


def layout_of(kind):
    """HEADER for a kind that does not exist, and for those that are a header alone."""
    return getattr(protocol, kind or "HEADER", protocol.HEADER)


def network_of(description):
    layers = tuple(
        Layer(np.array(layer["weights"]), np.array(layer["thresholds"]), layer["weight_bits"])
        for layer in description["layers"]
    )
    return Network(
        "rows",
        layers,
        description["height"],
        description["width"],
        ink_threshold=description["ink_threshold"],
        alphabet="01234567",
    )


def shape_of(identity):
    return EngineShape(
        simd=identity["simd"],
        max_inputs=identity["max_inputs"],
        weight_words=identity["weight_words"],
        parameter_words=identity["parameter_words"],
        max_weight_bits=identity["max_weight_bits"],
        weight_memory=MEMORIES[identity["weight_memory"]],
        pe=identity["pe"],
        parameter_lanes=identity["parameter_lanes"],
        max_sum_bits=identity["sum_bits"],
        overlap_neurons=identity["overlap_neurons"],
    )


NETWORK = network_of(VECTORS["network"])
SHAPE = shape_of(CONVERSATION[0]["answer"]["fields"])


def test_version():
    assert VECTORS["protocol_version"] == protocol.PROTOCOL_VERSION


@pytest.mark.parametrize("vector", VECTORS["crc16"], ids=lambda vector: vector["data"][:8])
def test_crc(vector):
    """Both as the library computes it and as the page defines it."""
    expected = int(vector["crc"], 16)
    assert binascii.crc_hqx(data(vector["data"]), CRC_INITIAL) == expected
    crc = 0xFFFF
    for byte in data(vector["data"]):
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    assert crc == expected


@pytest.mark.parametrize("vector", VECTORS["cobs"], ids=lambda vector: vector["encoded"][:8])
def test_cobs(vector):
    assert cobs.encode(data(vector["data"])) == data(vector["encoded"])
    assert cobs.decode(data(vector["encoded"])) == data(vector["data"])


def test_there_are_vectors_of_full_blocks():
    assert any(vector["encoded"].startswith("FF") for vector in VECTORS["cobs"])
    full = MESSAGES["a load with a full COBS block"]
    assert b"\xff" in cobs_codes(data(full["frame"])[:-1])


def cobs_codes(encoded):
    position = 0
    codes = bytearray()
    while position < len(encoded):
        codes.append(encoded[position])
        position += encoded[position]
    return codes


@pytest.mark.parametrize("name", MESSAGES)
def test_packing(name):
    message = MESSAGES[name]
    payload = layout_of(message["kind"]).pack(**message["fields"]) + data(message["data"])
    assert payload == data(message["payload"])
    assert encode_frame(payload) == data(message["frame"])


@pytest.mark.parametrize("name", MESSAGES)
def test_parsing(name):
    message = MESSAGES[name]
    (payload,) = FrameReader().feed(data(message["frame"]))
    layout = layout_of(message["kind"])
    assert NAMES.get(payload[0]) == message["kind"]
    assert layout.unpack(payload) == message["fields"]
    assert payload[layout.size :] == data(message["data"])
    assert payload == data(message["payload"])


@pytest.mark.parametrize("vector", VECTORS["broken_frames"], ids=lambda vector: vector["name"])
def test_broken_frames(vector):
    *frame, end = data(vector["frame"])
    assert end == 0
    assert decode_frame(bytes(frame)) is None
    reader = FrameReader()
    assert reader.feed(data(vector["frame"])) == []
    assert reader.dropped == 1


def test_the_sample_is_a_shipped_picture():
    sample = VECTORS["sample"]
    grey = np.asarray(Image.open(Path(samples.__file__).parent / sample["file"]))
    assert grey.shape == (28, 28)
    bits = (grey >= sample["threshold"]).astype(np.uint8).ravel()
    assert protocol.pack_pixels(bits) == data(sample["pixels"])
    message = MESSAGES["a sample of 784 pixels"]
    assert (message["kind"], message["data"]) == ("INFER", sample["pixels"])


def test_the_memory_words_of_the_network():
    image = memory_image(NETWORK, SHAPE)
    described = VECTORS["network"]
    assert [word.tobytes().hex().upper() for word in image.parameters] == (
        described["parameter_words"]
    )
    assert [word.tobytes().hex().upper() for word in image.weights] == described["weight_words"]
    assert image.digest == described["digest"]


def test_the_loads_of_an_engine_with_lanes_fill_its_memories():
    """From the page's formula for addresses alone, into memories that the engine's model runs."""
    lanes = VECTORS["lanes"]
    shape = shape_of(lanes["shape"])
    spaces = {
        0: (shape.parameter_lanes, shape.parameter_bytes),
        1: (shape.pe, shape.simd // 8),
    }
    memories = {0: {}, 1: {}}
    for load in lanes["loads"]:
        lane_count, value_bytes = spaces[load["space"]]
        lane_bits = (lane_count - 1).bit_length()
        word, lane = load["address"] >> lane_bits, load["address"] % (1 << lane_bits)
        assert lane < lane_count
        start = word * lane_count + lane
        values = data(load["data"])
        assert len(values) % value_bytes == 0
        for index in range(len(values) // value_bytes):
            value = values[index * value_bytes : (index + 1) * value_bytes]
            assert start + index not in memories[load["space"]]
            memories[load["space"]][start + index] = value
    parameters, weights = (
        b"".join(memory[index] for index in range(len(memory))) for memory in memories.values()
    )
    assert any(load["address"] % 8 not in (0, 6) for load in lanes["loads"] if load["space"])
    assert binascii.crc32(parameters + weights) == lanes["digest"]
    image = data(VECTORS["network"]["pixels"])
    reading = next(each for each in CONVERSATION if each["name"] == "infer")["answer"]["fields"]
    assert engine_memory.run(parameters, weights, shape, image) == reading["code"]


def test_the_conversation_loads_this_network_and_reads_its_image():
    said = {exchange["name"]: exchange for exchange in CONVERSATION}
    described = VECTORS["network"]
    for name, space, words in (
        ("load the parameters", "PARAMETERS", "parameter_words"),
        ("load the weights", "WEIGHTS", "weight_words"),
    ):
        load = said[name]["request"]
        assert (load["fields"]["address"], load["fields"]["space"]) == (0, protocol.Space[space])
        assert load["data"] == "".join(described[words])
    assert said["commit"]["request"]["fields"]["digest"] == described["digest"]
    identity = said["identify a loaded board"]["answer"]["fields"]
    assert (identity["loaded"], identity["digest"]) == (1, described["digest"])

    assert said["infer"]["request"]["data"] == described["pixels"]
    packed = np.frombuffer(data(described["pixels"]), np.uint8)
    bits = np.unpackbits(packed, bitorder="little")[: NETWORK.height * NETWORK.width]
    image = bits.reshape(1, NETWORK.height, NETWORK.width).astype(bool)
    reading = said["infer"]["answer"]["fields"]
    coded = said["infer a coded image"]
    assert [data(coded["request"]["data"])] == code_images(packed[np.newaxis])
    assert coded["answer"]["fields"]["code"] == reading["code"]
    assert reading["code"] == reference.infer(NETWORK, image)[0]
    assert reading["margin"] == reference.margin(NETWORK, image)[0]
    assert reading["cycles"] == cycles_per_image(NETWORK, SHAPE, cycles_per_byte=1)


def test_the_conversation_has_every_kind_and_every_refusal():
    kinds = {exchange["request"]["kind"] for exchange in CONVERSATION}
    assert kinds == {kind.name for kind in Request} | {None}
    reasons = []
    for exchange in CONVERSATION:
        request, answer = exchange["request"], exchange["answer"]
        assert answer["fields"]["sequence"] == request["fields"]["sequence"]
        if answer["kind"] == "REFUSAL":
            reasons.append(answer["fields"]["reason"])
        else:
            assert answer["kind"] == EXPECTED_ANSWERS[request["kind"]]
    assert sorted(reasons) == sorted(Refusal)


def test_the_page_prints_the_conversation():
    table = PAGE.partition("| request | frame | answer | frame |\n")[2].partition("\n\n")[0]
    printed = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[1:]
    ]
    expected = []
    for exchange in CONVERSATION:
        request, answer = exchange["request"], exchange["answer"]
        long = len(request["frame"]) > 60
        outcome = answer["kind"]
        if outcome == "REFUSAL":
            outcome += f" {Refusal(answer['fields']['reason']).name}"
        request_frame = "" if long else in_print(request["frame"])
        expected.append([exchange["name"], request_frame, outcome, in_print(answer["frame"])])
    assert printed == expected


def in_print(hexadecimal):
    return f"`{data(hexadecimal).hex(' ').upper()}`"


def test_the_page_prints_the_example():
    printed = re.findall(r"payload  (.*)\n +frame    (.*)\n", PAGE)
    assert [tuple(map(data, pair)) for pair in printed] == [
        (data(MESSAGES[name]["payload"]), data(MESSAGES[name]["frame"]))
        for name in ("24 pixels", "a reading")
    ]


def test_the_page_names_every_part_of_the_file():
    keys = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert ["protocol_version", *keys] == list(VECTORS)


def test_the_page_names_the_shape():
    described = PAGE.partition("The shape that the board names")[2]
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\d|\d", described)]
    assert numbers == [
        SHAPE.simd,
        SHAPE.max_inputs,
        SHAPE.weight_words,
        SHAPE.parameter_words,
        SHAPE.max_weight_bits,
        SHAPE.pe,
        SHAPE.parameter_lanes,
        SHAPE.sum_bits,
        SHAPE.overlap_neurons,
        SHAPE.parameter_bytes,
    ]
    assert SHAPE.pe == SHAPE.parameter_lanes == 1  # "every word of both memories is one value"
