"""Archives of arrays that somebody else may have made: looked at before anything is unpacked."""

import io
import json
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from stepnet import Layer, Network
from stepnet.archives import ArchiveError, ArchiveTooLargeError, read_arrays
from stepnet.data import sets
from stepnet.errors import DataError, NetworkError
from stepnet.networks.network_file import content_digest

MOST = 1 << 20


def npy(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=True)
    return file.getvalue()


def write_zip(path, members, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path, save):
    path = tmp_path / "a.npz"
    arrays = {
        "numbers": np.arange(24, dtype=">i4").reshape(2, 3, 4),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "text": np.array("any text \u00e9"),
        "flags": np.array([True, False]),
        "empty": np.zeros((0, 5), np.uint8),
        "lone": np.array(3),
    }
    save(path, **arrays)
    found = read_arrays(path, MOST)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable
    assert read_arrays(path, MOST, {"lone", "absent"}).keys() == {"lone"}


class Trap:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return print, ("unpickled",)


def header(text):
    text = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


ODD = {
    "objects": npy(np.array([Trap()], dtype=object)),
    "structures": npy(np.zeros(3, dtype=[("a", "i4"), ("b", "O")])),
    "times": npy(np.zeros(3, dtype="M8[s]")),
    "version 9": b"\x93NUMPY\x09\x00" + npy([1])[8:],
    "no header": b"",
    "short": npy(np.arange(100))[:-1],
    "long": npy(np.arange(100)) + b"x",
    "huge": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"),
    "negative": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
    "nothing wide": header("{'descr': '|S0', 'fortran_order': False, 'shape': (9,)}"),
    "no dictionary": header("[1, 2]"),
    "code": header("__import__('os').system('echo executed')"),
    "deep": header("(" * 100),
    "large header": b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31) + b" " * 100,
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_array_is_refused_and_nothing_is_run(tmp_path, kind, capfd):
    path = write_zip(tmp_path / "a.npz", {"a.npy": ODD[kind]})
    with pytest.raises(ArchiveError):
        read_arrays(path, MOST)
    assert capfd.readouterr() == ("", "")


def test_members_that_are_no_arrays_are_left_out(tmp_path):
    path = write_zip(tmp_path / "a.npz", {"images": b"text", "notes.txt": b"x", "a.npy": npy([1])})
    assert read_arrays(path, MOST).keys() == {"a"}


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_are_refused(tmp_path, packing):
    path = write_zip(tmp_path / "a.npz", {"a.npy": npy([1])}, packing)
    with pytest.raises(ArchiveError):
        read_arrays(path, MOST)


@pytest.mark.parametrize("method", [1, 9, 93, 98, 99, 65535])
def test_a_packing_that_nobody_knows_is_refused(tmp_path, method):
    path = write_zip(tmp_path / "a.npz", {"a.npy": npy([1])})
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, content.index(b"PK\3\4") + 8, method)
    struct.pack_into("<H", content, content.index(b"PK\1\2") + 10, method)
    path.write_bytes(content)
    with pytest.raises(ArchiveError):
        read_arrays(path, MOST)


def test_packed_arrays_are_refused_where_none_belong(tmp_path):
    path = write_zip(tmp_path / "a.npz", {"a.npy": npy([1])})
    with pytest.raises(ArchiveError):
        read_arrays(path, MOST, packed=False)


def test_too_many_members_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.npz", {f"{number}.npy": npy(1) for number in range(1100)})
    with pytest.raises(ArchiveError):
        read_arrays(path, MOST)


def test_a_list_of_members_that_is_itself_too_long_is_not_read(tmp_path):
    path = write_zip(tmp_path / "a.npz", {f"{number:0200}.npy": b"" for number in range(4800)})
    with pytest.raises(ArchiveError, match="too long"):
        read_arrays(path, MOST)


def test_what_becomes_too_large_is_not_unpacked(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(2 * MOST, np.uint8))
    assert path.stat().st_size < MOST / 100
    with pytest.raises(ArchiveTooLargeError) as caught:
        read_arrays(path, MOST)
    assert caught.value.wanted_bytes == 2 * MOST + 128
    assert read_arrays(path, MOST, {"b"}) == {}


def test_a_member_that_is_longer_than_it_says_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.npz", {"a.npy": npy(np.zeros(MOST, np.uint8))})
    content = bytearray(path.read_bytes())
    for start, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", content, content.index(start) + offset, 200)
    path.write_bytes(content)
    with pytest.raises(ArchiveError):
        read_arrays(path, MOST)


# What is made of archives


def forged(path, header, arrays):
    """A network file whose digest is right, whatever it says."""
    text = json.dumps(header)
    np.savez_compressed(
        path,
        schema_version=np.array(1),
        digest=np.array(content_digest(text, arrays)),
        header=np.array(text),
        **arrays,
    )
    return path


HEADER = {
    "name": "forged",
    "height": 1,
    "width": 4,
    "ink_threshold": 1,
    "readout": "bits",
    "alphabet": "ab",
    "code_prefix": "",
    "card": {},
    "weight_bits": [1],
}
ARRAYS = {"weights_0": np.ones((7, 4), np.int8), "thresholds_0": np.zeros(7, np.int32)}


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"name": None},
        {"card": [["abc"]]},
        {"card": {"a": 1}},
        {"card": "abc"},
        {"alphabet": ["a", "b"]},
        {"height": 1.5},
        {"height": "1"},
        {"width": [4]},
        {"ink_threshold": None},
        {"readout": ["bits"]},
        {"code_prefix": 1},
        {"weight_bits": 1},
        {"weight_bits": {}},
        {"weight_bits": [1, 1]},
        {"more": 1},
        {"kind": ["step"]},
    ],
    ids=str,
)
def test_a_header_of_other_types_is_refused_in_a_sentence(tmp_path, change):
    path = forged(tmp_path / "a.npz", {**HEADER, **change}, ARRAYS)
    with pytest.raises(NetworkError):
        Network.load(path)


def test_a_forged_file_that_is_right_is_read(tmp_path):
    assert Network.load(forged(tmp_path / "a.npz", HEADER, ARRAYS)).name == "forged"


def test_a_header_that_nests_without_end_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    text = "[" * 100_000
    digest = np.array(content_digest(text, {}))
    np.savez(path, schema_version=np.array(1), digest=digest, header=np.array(text))
    with pytest.raises(NetworkError, match="is damaged"):
        Network.load(path)


def test_a_network_larger_than_any_is_neither_read_nor_written(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, schema_version=np.array(1), weights_0=np.zeros(1 << 28, np.int8))
    with pytest.raises(NetworkError) as caught:
        Network.load(path)
    assert str(caught.value) == (
        f"The network file {str(path)!r} would take 256 MiB of memory, and a network takes at most "
        "32 MiB; fetch a fresh copy."
    )
    hidden = Layer(np.ones((140, 1 << 18), np.int8), np.zeros(140, int))
    last = Layer(np.ones((7, 140), np.int8), np.zeros(7, int))
    network = Network("large", (hidden, last), 512, 512)
    with pytest.raises(NetworkError) as caught:
        network.save(path)
    assert str(caught.value) == (
        "The network 'large' takes more than 32 MiB, and no larger file is read; give it fewer "
        "neurons."
    )


def test_a_data_set_that_fills_the_memory_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros((100_000, 28, 28), np.uint8))
    with pytest.raises(DataError) as caught:
        sets.load(path)
    assert str(caught.value) == (
        f"The data file {str(path)!r} would take 75 MiB of memory, which is more than characters "
        "pack into so small a file; write it with numpy.savez, which does not pack, in files of at "
        "most 2,048 MiB."
    )
    labels = np.array([48, 49] * 50_000)
    np.savez(path, images=np.zeros((100_000, 28, 28), np.uint8), labels=labels)
    assert len(sets.load(path).train) == 85_000


def test_a_data_file_that_is_none(tmp_path):
    for name, content in {"images": npy([1]), "labels.npy": npy([1])}.items():
        path = write_zip(tmp_path / "a.npz", {name: content})
        with pytest.raises(DataError, match="has no array 'images'"):
            sets.load(path)


MEASURE = """
import resource, sys
from stepnet.data import sets
from stepnet.errors import StepnetError
from stepnet.networks.shipped import load_any_network
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    for load in (load_any_network, sets.load):
        try:
            load(path)
        except StepnetError:
            pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_bombs_take_next_to_no_memory(tmp_path):
    """Half a MiB that wants to be half a gigabyte, and a list of members without arrays."""
    zeros = tmp_path / "zeros.npz"
    with zipfile.ZipFile(zeros, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in ("weights_0", "images"):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                shape = "(1, 256, 1048576)" if name == "images" else "(268435456,)"
                member.write(
                    header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}")
                )
                for _ in range(256):
                    member.write(bytes(1 << 20))
    assert zeros.stat().st_size < 1 << 20
    many = write_zip(tmp_path / "many.npz", {f"{n}.npy": npy(0) for n in range(900)})
    words = [sys.executable, "-c", MEASURE, str(zeros), str(many)]
    grown_kib = int(subprocess.run(words, capture_output=True, check=True).stdout)
    assert grown_kib < 20 << 10
