"""Lines and pictures in the page as files: the same of each as Python makes."""

import base64
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from browser import as_files, chromium, draw, needs_chromium, shown, tab, wait_until_read
from page_server import bomb
from stepnet.networks.shipped import load_any_network
from stepnet.pictures.paper import find_ink
from stepnet.pictures.picture import grey_values
from stepnet.samples import sample_pictures

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page"), needs_chromium]

REPOSITORY = Path(__file__).parents[2]
PAPERS = REPOSITORY / "tests" / "stepnet" / "pictures" / "papers"
NETWORKS = {name: load_any_network(name) for name in ("ascii", "digits")}


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with as_files(tmp_path_factory.mktemp("site"), list(NETWORKS.values())) as url:
        yield url


@pytest.fixture(scope="module")
def shared(browser, site):
    with tab(browser, site) as opened:
        yield opened


@pytest.fixture
def page(browser, site):
    with tab(browser, site) as opened:
        yield opened


@pytest.fixture(scope="module")
def compared():
    """The benchmark that compares page and Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "benchmarks")
        import page_pictures

        yield page_pictures
    for name in ("page_pictures", "papers", "web_page"):
        sys.modules.pop(name, None)


def test_pictures_of_every_kind_give_the_same(shared, compared):
    """Those of the benchmark are all the same; here is a small one of each kind, and lines."""
    small = compared.Ranges(digit_side=(70, 100), margin=(25, 45))
    short = compared.Ranges(digit_side=(40, 70), margin=(8, 20))
    digits = compared.shipped_digits()
    read = 0
    for number, kind in enumerate(compared.KINDS):
        what = "line" if number % 3 == 2 else "picture"
        network = NETWORKS["ascii" if number % 2 else "digits"]
        ranges = short if what == "line" else small
        picture = compared.picture_on(kind, what, ranges, digits, [20, number])
        expected = compared.in_python(what, network, picture)
        assert compared.in_the_page(shared, what, network, picture) == expected, kind
        read += bool(expected.images)
    assert read >= 10


INK = """async ([packed, width, height]) => {
    const { findInk } = await import('./js/pictures/paper.js');
    const { bytesOf } = await import('./js/network.js');
    const grey = { width, height, data: Float32Array.from(bytesOf(packed)) };
    return Array.from(findInk(grey).strength.data);
}"""


@pytest.mark.parametrize(("kind", "seed"), [("box of a form", 6), ("dotted", 3)])
def test_frames_dots_and_specks_leave_the_ink(shared, compared, kind, seed):
    """Whether they are gone is seen in the ink; a network may not mind them."""
    small = compared.Ranges(digit_side=(70, 100), margin=(25, 45))
    picture = compared.picture_on(kind, "picture", small, compared.shipped_digits(), [seed])
    grey, _ = grey_values(picture)
    height, width = grey.shape
    packed = base64.b64encode(grey.astype(np.uint8).tobytes()).decode()
    found = np.array(shared.evaluate(INK, [packed, width, height])).reshape(height, width)
    np.testing.assert_allclose(found, find_ink(grey).strength, atol=1e-3)


def sheet(height, width, paper=255):
    return np.full((height, width), paper, np.uint8)


def refused():
    """Pictures that are refused, each for another reason."""
    columns = np.arange(300)
    curve = np.rint(40 * np.sin(columns / 60)).astype(int)

    rules = sheet(300, 400, 240)
    rules[::40] = 100
    yield "picture", rules
    beside = sheet(120, 100, 230)
    beside[20:100, 30:40] = beside[20:30, 30:70] = 30
    beside[:, 80:82] = 120
    beside[60:64] = 60
    yield "picture", beside
    through = sheet(300, 300)
    through[60:240, 130:160] = 0
    for row in (110, 200):
        for thick in range(3):
            through[row + curve + thick, columns] = 0
    yield "picture", through
    two = sheet(160, 200)
    two[50:110, 20:60] = two[50:110, 140:180] = 0
    yield "picture", two
    wide = sheet(200, 400)
    for thick in range(8):
        wide[100 + curve + thick, columns + 50] = 0
    yield "picture", wide
    block = sheet(100, 100)
    block[30:70, 30:70] = 0
    yield "picture", block
    faint = sheet(60, 60, 0)
    faint[20:40, 20:40] = 17
    yield "picture", faint
    yield "picture", sheet(60, 60, 200)
    lines = sheet(300, 200)
    for row in (40, 180):
        lines[row : row + 60, 30:40] = lines[row : row + 10, 30:90] = 0
    yield "line", lines


def test_what_is_refused_is_refused_with_the_same_words(shared, compared):
    sentences = []
    for what, values in refused():
        picture = Image.fromarray(values)
        expected = compared.in_python(what, NETWORKS["digits"], picture)
        assert compared.in_the_page(shared, what, NETWORKS["digits"], picture) == expected
        sentences.append(expected.refusal)
    assert all(sentences)
    assert len(set(sentences)) == len(sentences)


GREYS = """async ([packed, name]) => {
    const { greyValues } = await import('./js/pictures/picture.js');
    const { bytesOf } = await import('./js/network.js');
    const { width, height, data } = await greyValues(new File([bytesOf(packed)], name));
    return [width, height, Array.from(data)];
}"""


def greys_in_the_page(page, content):
    width, height, values = page.evaluate(GREYS, [base64.b64encode(content).decode(), "given"])
    return np.array(values, np.float32).reshape(height, width)


def packed(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def files():
    """Files of every format that the page reads, and of colours that are taken apart."""
    rng = np.random.default_rng(7)
    sample = Image.open(sample_pictures()[14][0]).resize((90, 60), Image.Resampling.BICUBIC)
    grey = Image.fromarray(255 - np.asarray(sample))
    for kind in ("PNG", "GIF", "BMP"):
        yield kind, packed(grey, kind)
    yield "WEBP", packed(grey.convert("RGB"), "WEBP", lossless=True)
    yield "bits", packed(grey.convert("1"), "PNG")
    yield "JPEG", packed(grey, "JPEG", quality=80)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "turned", packed(grey, "JPEG", quality=80, exif=exif)
    noisy = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    yield "colour", packed(Image.fromarray(noisy), "PNG")
    clear = np.zeros((50, 50, 4), np.uint8)
    clear[..., :3] = 255
    clear[10:40, 20:30, 3] = 255
    yield "white on nothing", packed(Image.fromarray(clear), "PNG")
    # Of the same grey as the paper, but red.
    red = np.full((60, 60, 3), (110, 110, 110), np.uint8)
    red[20:40, 25:35] = (255, 54, 18)
    yield "as grey as the paper", packed(Image.fromarray(red), "PNG")
    yield "tiles", packed(grey.resize((2100, 40)), "PNG")


def test_files_are_decoded_as_in_python(shared):
    for name, content in files():
        expected, _ = grey_values(content)
        np.testing.assert_array_equal(greys_in_the_page(shared, content), expected, name)


def test_a_half_transparent_picture_is_decoded_nearly_as_in_python(shared):
    """A browser keeps colours multiplied by their alpha, which rounds them once more."""
    rng = np.random.default_rng(8)
    values = rng.integers(0, 256, (40, 50, 4), dtype=np.uint8)
    content = packed(Image.fromarray(values), "PNG")
    difference = greys_in_the_page(shared, content) - grey_values(content)[0]
    assert np.abs(difference).max() <= 1


def give(page, content, name="letter.png"):
    """Drop a file onto the page."""
    page.evaluate(
        """([content, name]) => {
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
            const given = new DataTransfer();
            given.items.add(new File([bytes], name));
            document.body.dispatchEvent(new DragEvent('drop',
                { bubbles: true, cancelable: true, dataTransfer: given }));
        }""",
        [base64.b64encode(content).decode(), name],
    )


def violations(page):
    return [each["id"] for each in Axe().run(page).response["violations"]]


def test_a_photo_is_read_with_its_steps(page):
    page.locator("#network").select_option("digits")
    page.locator("#about", has_text="digits:").wait_for()
    give(page, (PAPERS / "ruled_is_9.jpg").read_bytes(), "nine.jpg")
    wait_until_read(page)
    assert (shown(page), page.locator("#by").inner_text()) == ("9", "this page")
    assert page.locator("#steps").evaluate("(image) => image.naturalWidth") > 300
    assert page.locator("#given").evaluate("(image) => image.naturalWidth") > 0
    assert not violations(page)
    page.locator("#line").click()
    assert not page.locator("#steps").is_visible()
    give(page, (PAPERS / "line_seyes_is_2439.jpg").read_bytes(), "line.jpg")
    page.locator("#text[data-text='2439']").wait_for()
    assert page.locator("#steps").is_visible()
    assert not violations(page)


def test_a_line_is_written_and_read(page):
    page.locator("#line").click()
    box = page.locator("#pad").bounding_box()
    side = box["height"] * 0.8
    for letter, place in zip("KL7K", (0, 0.75, 1.5, 3), strict=True):
        x = box["x"] + 20 + place * side
        draw(page, letter, {"x": x, "y": box["y"] + 20, "width": side, "height": side})
    page.locator("#text[data-text='KL7 K']").wait_for()
    assert not violations(page)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"no picture",
            "The file given is no PNG, JPEG, GIF, BMP, WebP or AVIF, which this page reads, or is "
            "damaged; give a PNG or a JPEG.",
        ),
        (
            b"\0\0\0\x18ftypheic",
            "The file given is a HEIC, as phones take photos, which is not read; save it as JPEG "
            "or PNG.",
        ),
        (b"%PDF-1.7", "The file given is a PDF; save the page as PNG or JPEG."),
        (b"<svg/>", "The file given is an SVG, which has no pixels; save it as PNG."),
        (bomb(), "The picture has more than 64 million pixels; scale it down first."),
        (
            packed(Image.new("L", (60, 60), 255), "PNG")[:60],
            "The picture given cannot be read (its content is damaged); give a PNG, a JPEG or "
            "another image file.",
        ),
        (
            packed(Image.new("L", (60, 60), 255), "PNG"),
            "The picture is blank: no ink differs from its border; give a character with some "
            "paper around it.",
        ),
    ],
    ids=["text", "HEIC", "PDF", "SVG", "bomb", "damaged", "blank"],
)
def test_what_is_not_read_is_said_in_a_sentence(shared, content, sentence):
    give(shared, content)
    notice = shared.locator("#notice")
    notice.filter(has_text=sentence).wait_for()
    assert notice.inner_text() == sentence
    assert shown(shared) == ""


def test_a_file_that_is_too_large_is_not_decoded(shared):
    shared.evaluate(
        """() => {
            const large = new DataTransfer();
            large.items.add(new File([new Uint8Array(17 << 20)], 'large.png'));
            document.body.dispatchEvent(
                new DragEvent('drop', { bubbles: true, dataTransfer: large }));
        }"""
    )
    sentence = "The upload has more than 16 MiB; scale the picture down first."
    shared.locator("#notice", has_text=sentence).wait_for()
