"""Networks as C files: compiled as strictly as it goes, the same codes as the reference."""

import ctypes
import re
import subprocess

import numpy as np
import pytest

from small_networks import network_of_random_shape
from stepnet import Layer, Network
from stepnet.errors import FormatError
from stepnet.formats.c_export import c_name, c_source, write_c
from stepnet.networks import reference
from stepnet.networks.shipped import load_network

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
WITHOUT_VECTORS = ("-DSTEPNET_TEST", "-U__SSE2__", "-U__AVX2__", "-U__AVX512F__", "-U__ARM_NEON")


def compiled(network, folder, *flags):
    """The network's function for many images, from a library compiled with these flags."""
    source = write_c(network, folder / "network.c")
    library = folder / "network.so"
    command = ["cc", *STRICT, *flags, "-shared", "-fPIC", source, "-o", library]
    subprocess.run(command, check=True)
    function = getattr(ctypes.CDLL(str(library)), f"{c_name(network)}_many")
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]

    def read(images):
        codes = ctypes.create_string_buffer(len(images))
        function(np.ascontiguousarray(images).tobytes(), len(images), codes)
        return np.frombuffer(codes.raw, np.uint8)

    return read


@pytest.mark.parametrize("readout", ["bits", "tree", "nearest"])
@pytest.mark.parametrize(
    "flags", [("-O1",), ("-O1", "-march=native"), ("-O1", *WITHOUT_VECTORS)], ids=str
)
def test_random_networks_read_as_the_reference_does(readout, flags, tmp_path):
    for seed in range(2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        network = network_of_random_shape(readout, seed)
        images = np.random.default_rng(seed).integers(0, 256, (300, 5, 7)).astype(np.uint8)
        read = compiled(network, folder, *flags)
        np.testing.assert_array_equal(read(images), reference.infer(network, images))


@pytest.mark.parametrize("end", ["*/", "*\\", "**//", "/*/", "*\n/", "*\r/", "\\\n"])
def test_no_name_and_no_card_ends_a_comment(end, tmp_path):
    """What somebody else wrote into a network's file is never code."""
    evil = f"x{end} int evil; /* x{end}"
    layer = Layer(np.ones((7, 4), dtype=int), np.zeros(7, dtype=int))
    path = write_c(Network(evil, (layer,), 2, 2, card={evil: evil}), tmp_path / "evil.c")
    words = ["cc", *STRICT, "-E", "-P", path]
    code = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert "stepnet_" in code
    assert "int evil" not in code


def test_more_words_than_bytes_can_count_and_thresholds_beyond_every_count(tmp_path):
    """2,100 inputs of one sign: bytes would overflow after 31 words; margins need 64 bits."""
    random = np.random.default_rng(0)
    extremes = [-(2**31), 2**31 - 1, 0, 2100, 2101, -2100, -2101]
    hidden = Layer(np.repeat([[1], [-1], [1], [1], [1], [-1], [-1]], 2100, axis=1), extremes)
    last = Layer(random.integers(-128, 128, (7, 7)), np.array(extremes)[::-1], 8)
    far = Layer(random.choice([-1, 1], (3, 7)), [2**31 - 1, 2**31 - 2, -(2**31)])
    for layers, readout in (((hidden, last), "bits"), ((hidden, far), "nearest")):
        network = Network(
            "far", layers, height=30, width=70, readout=readout, alphabet="abc", ink_threshold=1
        )
        folder = tmp_path / readout
        folder.mkdir()
        shares = random.random((40, 1, 1))
        images = np.where(random.random((40, 30, 70)) < shares, 255, 0).astype(np.uint8)
        images[0], images[1] = 0, 255
        read = compiled(network, folder, "-O1")
        np.testing.assert_array_equal(read(images), reference.infer(network, images))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "ascii-nearest", "letters"])
def test_all_test_images_of_mnist_are_read_as_the_reference_reads_them(name, mnist, tmp_path):
    network = load_network(name)
    images = mnist.test.images
    read = compiled(network, tmp_path, "-O2")
    np.testing.assert_array_equal(read(images), reference.infer(network, images))


def test_as_a_program_it_reads_from_standard_input(tmp_path):
    network = network_of_random_shape("bits", 0)
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 7)).astype(np.uint8)
    program = tmp_path / "program"
    source = write_c(network, tmp_path / "network.c")
    subprocess.run(["cc", *STRICT, "-DSTEPNET_MAIN", source, "-o", program], check=True)
    done = subprocess.run([program], input=images.tobytes() + b"rest", stdout=-1, check=True)
    assert list(done.stdout) == reference.infer(network, images).tolist()


def test_the_heading_says_what_it_is_and_nothing_breaks_out_of_it():
    layer = Layer(np.ones((7, 4)), np.zeros(7))
    card = {"note": "a */ in a card\nand \\ a new line"}
    network = Network("2 be*/or", (layer,), height=2, width=2, card=card)
    text = c_source(network)
    heading = text[: text.index("#include")]
    assert heading.count("*/") == 1
    assert "note: a * / in a card and / a new line" in heading
    assert network.digest in heading
    assert c_name(network) == "stepnet_2_be_or"
    assert re.search(r"^uint8_t stepnet_2_be_or\(const uint8_t image\[PIXELS\]\);$", text, re.M)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    path = tmp_path / "absent" / "network.c"
    with pytest.raises(FormatError) as caught:
        write_c(network_of_random_shape("bits", 0), path)
    assert str(caught.value) == (
        f"The C file cannot be written to {str(path)!r} (No such file or directory); name a file "
        "in a folder that exists and is writable."
    )
