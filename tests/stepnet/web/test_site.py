"""The page as files, and networks as JSON."""

import json
import re
from base64 import b64decode

import numpy as np
import pytest

from small_networks import small_network
from stepnet.networks.shipped import load_any_network
from stepnet.web import STATIC
from stepnet.web.guard import CONTENT_SECURITY_POLICY
from stepnet.web.network_json import network_files, network_json
from stepnet.web.site import ALONE, SERVED, SiteError, write_site

MOST_PAGE_BYTES = 300_000


def test_the_page_and_its_networks_become_files(tmp_path):
    networks = [small_network(name="../../mine"), load_any_network("digits")]
    files = write_site(tmp_path / "site", networks)
    assert all(path.is_relative_to(tmp_path / "site") for path in files)
    home = tmp_path / "site"
    listed = json.loads((home / "networks" / "index.json").read_text())
    assert listed == {"networks": {"../../mine": "_mine.json", "digits": "digits.json"}}
    assert json.loads((home / "networks" / "_mine.json").read_text())["name"] == "../../mine"
    index = (home / "index.html").read_text()
    assert ALONE in index
    assert SERVED not in index
    assert files == sorted(path for path in home.rglob("*") if path.is_file())
    # Again, over the same folder, in which there is something else.
    (home / "mine.txt").touch()
    assert write_site(home, networks) == files
    assert (home / "mine.txt").exists()


def test_a_folder_that_is_none(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(SiteError) as refused:
        write_site(path, [small_network()])
    assert str(refused.value) == (
        f"The page cannot be written to {str(path)!r} (File exists); name a folder that you may "
        "write."
    )


def test_names_of_files_are_tame_and_never_the_same():
    names = ["a b", "a/b", "a?b", "plain-1", "\N{SNOWMAN}", ""]
    files = network_files(names)
    assert len(set(files.values())) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]*(\.\d+)?\.json", file) for file in files.values())


def test_weights_are_bit_planes():
    network = load_any_network("exercise")
    layer = network_json(network)["layers"][0]
    bits = np.unpackbits(np.frombuffer(b64decode(layer["planes"]), np.uint8), bitorder="little")
    planes = bits[: 8 * layer["n_out"] * layer["n_in"]].reshape(8, layer["n_out"], layer["n_in"])
    values = np.array([1, 2, 4, 8, 16, 32, 64, -128])
    np.testing.assert_array_equal(
        np.tensordot(values, planes.astype(np.int64), axes=1), network.layers[0].weights
    )


def test_the_page_fetches_nothing_from_elsewhere_and_is_small():
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_PAGE_BYTES
    for path in files:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import|\beval\(|innerHTML|new Function", text), path
    index = (STATIC / "index.html").read_text()
    assert CONTENT_SECURITY_POLICY in index
    assert not re.search(r"<script>|<style>|\son\w+=|\sstyle=", index)
