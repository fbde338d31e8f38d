"""What a release holds: all that users need, and nothing that only the project itself does."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from stepnet.networks import shipped

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

NOT_SHIPPED = (".pyc", ".vcd", ".fst", ".log", ".ipynb", ".stepnet-part")
"""How files end that come from working on Stepnet."""
DATA = (".npz", ".npy", ".gz", ".csv", ".h5", ".onnx", ".pt")
"""How files end that hold data sets and networks."""

LARGEST_WHEEL_BYTES = 12 << 20


def test_citation_and_project_agree():
    text = (REPOSITORY / "CITATION.cff").read_text()
    citation = dict(re.findall(r"^([a-z-]+): (\S+)$", text, re.M))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]


def test_changes_of_this_version_are_told():
    headings = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] in ("Unreleased", PROJECT["version"])


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("release")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_the_wheel_holds_what_users_need_and_nothing_else(release):
    (path,) = release.glob("*.whl")
    assert path.name == f"stepnet-{PROJECT['version']}-py3-none-any.whl"
    assert path.stat().st_size < LARGEST_WHEEL_BYTES
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        about = f"stepnet-{PROJECT['version']}.dist-info"
        metadata = HeaderParser().parsestr(wheel.read(f"{about}/METADATA").decode())
    assert {name.split("/")[0] for name in names} == {
        "stepnet",
        "stepnet_hdl",
        "stepnet_sim",
        about,
    }
    # Whatever the repository keeps of the packages is there, and so are all bitstreams.
    folders = {"host/stepnet": "stepnet", "hdl/stepnet_hdl": "stepnet_hdl"}
    folders |= {"sim/stepnet_sim": "stepnet_sim", "bitstreams": "stepnet_hdl/bitstreams"}
    kept = {
        f"{inside}/{name.removeprefix(f'{folder}/')}"
        for folder, inside in folders.items()
        for name in kept_files(folder)
    }
    assert {name for name in names if not name.startswith(about)} == kept
    networks = {f"stepnet/networks/shipped/{name}.npz" for name in shipped.names()}
    tables = {f"stepnet/networks/shipped/lut/{name}.npz" for name in shipped.lut_names()}
    spiking = {f"stepnet/networks/shipped/spiking/{name}.npz" for name in shipped.spiking_names()}
    assert {name for name in names if name.endswith(DATA)} == networks | tables | spiking
    assert any(name.endswith("icebreaker/stepnet.bin") for name in names)
    assert not [name for name in names if "/tests/" in name or name.endswith(NOT_SHIPPED)]
    assert f"{about}/licenses/LICENSE" in names
    assert f"{about}/licenses/host/stepnet/samples/ATTRIBUTION.md" in names
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


@pytest.mark.slow
def test_the_sdist_holds_the_repository_without_its_machinery(release):
    (path,) = release.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    kept = {name for name in kept_files() if not name.startswith(".ci/")}
    assert names == kept | {"PKG-INFO"}


def kept_files(*folders):
    """The paths of all files in these folders that the repository keeps or does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is not a git repository, so nobody says what belongs to it")
    return listed.stdout.split("\0")[:-1]
