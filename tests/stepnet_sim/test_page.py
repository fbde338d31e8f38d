"""The drawing page in a browser, with the virtual board behind `stepnet web`."""

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from browser import (
    LETTERS,
    READY,
    chromium,
    draw,
    lit,
    needs_chromium,
    seen_pixels,
    shared_board,
    shown,
    tab,
    violations,
    wait_until_read,
)
from page_server import bomb, serving_page
from stepnet.data import sets as data
from stepnet.data.evaluation import score
from stepnet.networks import reference
from stepnet.networks.shipped import load_any_network
from stepnet_sim.chips.verilated import missing_compiler

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("page"),
    needs_chromium,
    pytest.mark.skipif(
        missing_compiler() is not None, reason=f"{missing_compiler()} is not installed"
    ),
]


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def keep(tmp_path_factory):
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def server(keep):
    with serving_page(["sim"], keep=keep) as started:
        yield started


@pytest.fixture
def page(browser, server):
    with tab(browser, server.url) as opened:
        opened.locator("#status", has_text="ready").wait_for()
        yield opened


def picture_of(letter, side=400):
    """A picture of a letter as a PNG in base64, grey on darker grey paper."""
    image = Image.new("L", (side, side), 60)
    pen = ImageDraw.Draw(image)
    for stroke in LETTERS[letter]:
        pen.line([(60 + x * 280, 60 + y * 280) for x, y in stroke], 220, 20, joint="curve")
    packed = io.BytesIO()
    image.save(packed, "PNG")
    return base64.b64encode(packed.getvalue()).decode()


def give(page, event, content, name="letter.png", kind="image/png"):
    """Drop a file onto the page, or paste it."""
    page.evaluate(
        """([event, content, name, kind]) => {
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
            const given = new DataTransfer();
            given.items.add(new File([bytes], name, { type: kind }));
            const options = { bubbles: true, cancelable: true };
            document.body.dispatchEvent(event === 'drop'
                ? new DragEvent('drop', { ...options, dataTransfer: given })
                : new ClipboardEvent('paste', { ...options, clipboardData: given }));
        }""",
        [event, content, name, kind],
    )


def test_a_letter_drawn_with_the_mouse(page):
    draw(page, "K", slowly=True)
    assert (shown(page), lit(page)) == ("K", f"{ord('K'):07b}")
    assert page.locator("#sum").inner_text() == "64 + 8 + 2 + 1 = 75"
    assert page.locator("#by").inner_text() == "the board"
    assert page.locator("#agrees").inner_text() == "agrees"
    # The cycles are those of the engine, the time that of its clock.
    assert page.locator("#cycles").inner_text() == "14273 (340 µs)"
    decisions = page.locator("#decisions tbody tr")
    assert decisions.locator("td:nth-child(4)").all_inner_texts() == list(f"{ord('K'):07b}")
    assert decisions.last.locator("td").last.inner_text() == "K"


def test_undo_clear_and_the_pen(page):
    draw(page, "K")
    wait_until_read(page)
    thick = page.evaluate(INK)
    page.locator("#undo").click()
    wait_until_read(page)
    assert 0 < page.evaluate(INK) < thick
    page.locator("#clear").click()
    assert (page.evaluate(INK), lit(page), shown(page)) == (0, "", "")
    page.locator("#pen").fill("8")
    draw(page, "K")
    assert 0 < page.evaluate(INK) < 0.7 * thick


INK = """() => {
    const pad = document.getElementById('pad');
    const { data } = pad.getContext('2d').getImageData(0, 0, pad.width, pad.height);
    return data.filter((value, i) => i % 4 === 3 && value > 128).length;
}"""
"""How many pixels of the paper are inked."""


def test_a_finger_draws_and_does_not_scroll(browser, server):
    with tab(
        browser, server.url, has_touch=True, is_mobile=True, viewport={"width": 360, "height": 640}
    ) as page:
        page.locator("#status", has_text="ready").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        box = page.locator("#pad").bounding_box()
        finger = page.context.new_cdp_session(page)

        def touch(kind, points):
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        for stroke in LETTERS["K"]:
            (x0, y0), (x1, y1) = stroke
            for step in range(6):
                x, y = x0 + (x1 - x0) * step / 5, y0 + (y1 - y0) * step / 5
                at = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
                touch("touchMove" if step else "touchStart", [at])
            touch("touchEnd", [])
        wait_until_read(page)
        assert (shown(page), page.evaluate("scrollY")) == ("K", 0)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert not violations(page)


def test_the_keyboard_alone(page):
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "pad":
            break
    for key in ["ArrowUp"] * 11 + [" "] + ["ArrowDown"] * 22 + ["ArrowRight"] * 11 + [" "]:
        page.keyboard.press(key)
    wait_until_read(page)
    assert (shown(page), lit(page)) == ("L", f"{ord('L'):07b}")
    while page.evaluate("document.activeElement.className") != "lights":
        page.keyboard.press("Tab")
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert page.locator("#neuron-title").inner_text() == "Neuron 2 of layer 1"
    page.keyboard.press("Escape")
    assert not page.locator("#neuron").is_visible()
    page.locator("#pad").focus()
    page.keyboard.press("Control+z")
    assert lit(page) == ""


def test_a_click_opens_a_neuron(page, server):
    draw(page, "K")
    wait_until_read(page)
    network = load_any_network("ascii")
    image = seen_pixels(page)
    states = reference.activations(network, image[np.newaxis])
    lights = page.locator("#layers canvas").nth(2)
    box = lights.bounding_box()
    columns = int(np.ceil(np.sqrt(512)))
    neuron = 2 * columns + 3
    lights.click(position={"x": 3.5 * box["width"] / columns, "y": 2.5 * box["width"] / columns})
    total = int(reference.sums(network.layers[1], states[1])[0, neuron])
    threshold = int(network.layers[1].thresholds[neuron])
    fires = total >= threshold
    assert page.locator("#neuron-title").inner_text() == f"Neuron {neuron} of layer 2"
    expected = (
        f"Sum {total} reaches the threshold {threshold}, so the neuron is on."
        if fires
        else f"Sum {total} is below the threshold {threshold}, so the neuron is off."
    ).replace("-", "\N{MINUS SIGN}")
    assert page.locator("#neuron .conclusion").inner_text() == expected
    assert not violations(page)


def test_a_dropped_and_a_pasted_picture(page):
    for event, letter in (("drop", "7"), ("paste", "L")):
        give(page, event, picture_of(letter))
        page.locator("#character", has_text=letter).wait_for()
        wait_until_read(page)
        assert page.locator("#steps").evaluate("(image) => image.naturalWidth") > 500
        assert page.locator("#agrees").inner_text() == "agrees"
        assert page.locator("#given").evaluate("(image) => image.naturalWidth") == 400
    assert not violations(page)
    draw(page, "K")
    page.locator("#steps").wait_for(state="hidden")
    assert not page.locator("#given").is_visible()
    assert shown(page) == "K"


def test_a_line_of_letters(page):
    page.locator("#line").click()
    box = page.locator("#pad").bounding_box()
    side = box["height"] * 0.8
    for letter, place in zip("KL7K", (0, 0.75, 1.5, 3), strict=True):
        x = box["x"] + 20 + place * side
        draw(page, letter, {"x": x, "y": box["y"] + 20, "width": side, "height": side})
    page.locator("#text[data-text='KL7 K']").wait_for()
    assert not violations(page)
    page.locator("#text button").first.click()
    assert lit(page) == f"{ord('K'):07b}"


def test_what_is_no_picture_and_what_is_too_large(page):
    notice = page.locator("#notice")
    give(page, "drop", base64.b64encode(b"no picture").decode())
    notice.filter(has_text="is no picture or is damaged").wait_for()
    give(page, "drop", base64.b64encode(bomb()).decode())
    notice.filter(has_text="has more than 64 million pixels").wait_for()
    page.evaluate("window.large = new DataTransfer()")
    page.evaluate(
        """() => {
            large.items.add(new File([new Uint8Array(17 << 20)], 'large.png'));
            document.body.dispatchEvent(
                new DragEvent('drop', { bubbles: true, dataTransfer: large }));
        }"""
    )
    notice.filter(has_text="The upload has more than 16 MiB").wait_for()
    draw(page, "K")
    wait_until_read(page)
    assert shown(page) == "K"
    assert not notice.is_visible()


def test_two_tabs_share_the_board(browser, server, page):
    with tab(browser, server.url) as other:
        for each, letter in ((page, "K"), (other, "7")):
            draw(each, letter)
        for each, letter in ((page, "K"), (other, "7")):
            wait_until_read(each)
            assert shown(each) == letter
            assert each.locator("#by").inner_text() == "the board"
        # What one chooses the other follows.
        page.locator("#network").select_option("digits")
        other.locator("#about", has_text="digits: knows 10 characters").wait_for()
        wait_until_read(other)
        assert shown(other) == "7"
        other.locator("#network").select_option("ascii")
        page.locator("#about", has_text="ascii: knows 94 characters").wait_for()
        page.locator("#by", has_text="the board").wait_for()


def test_another_board_is_chosen_lost_and_found(browser):
    with (
        shared_board() as board,
        serving_page(["sim", board.where]) as server,
        tab(browser, server.url) as page,
    ):
        status, notice = page.locator("#status"), page.locator("#notice")
        status.filter(has_text="ready").wait_for()
        page.locator("#board").select_option(board.where)
        # A network of tables does not fit an engine, and the board keeps the one it has.
        page.locator("#network").select_option("digits-lut-small")
        notice.filter(has_text="which cannot be loaded with 'digits-lut-small'").wait_for()
        assert page.locator("#network").input_value() == "ascii"
        draw(page, "K")
        wait_until_read(page)
        assert (shown(page), page.locator("#by").inner_text()) == ("K", "the board")
        board.stop()
        status.filter(has_text="lost").wait_for()
        assert "Until then numpy reads." in notice.inner_text()
        page.locator("#clear").click()
        draw(page, "7")
        wait_until_read(page)
        assert (shown(page), page.locator("#by").inner_text()) == ("7", "numpy")
        assert not violations(page)
        board.start()
        status.filter(has_text="ready").wait_for()
        notice.wait_for(state="hidden")
        page.locator("#clear").click()
        draw(page, "K")
        page.locator("#by", has_text="the board").wait_for()


def test_kept_drawings_are_a_data_set(page, keep):
    for letter in "K7LK7":
        page.locator("#clear").click()
        draw(page, letter)
        wait_until_read(page)
        page.locator("#label").fill(letter)
        page.locator("#keep button").click()
        page.locator("#kept", has_text="Kept").wait_for()
    (file,) = keep.iterdir()
    assert file.name == "drawings-28x28-unipen.npz"
    split = data.load(file)
    everything = split.part("all")
    assert sorted(map(chr, everything.labels)) == sorted("K7LK7")
    found = score(load_any_network("ascii"), everything)
    assert found.accuracy == 1.0


def test_a_page_that_is_left_open_over_a_restart(browser):
    with serving_page(["sim"]) as first, tab(browser, first.url) as page:
        draw(page, "K")
        wait_until_read(page)
        assert not page.locator("#keep").is_visible()  # unless there is a folder for it
        first.stop()
        page.locator("#notice", has_text="The server does not answer").wait_for()
        with serving_page(["sim"], port=first.port):
            page.locator("#notice", has_text="does not answer").wait_for(state="hidden")
            page.locator("#clear").click()
            draw(page, "L")
            wait_until_read(page)
            assert shown(page) == "L"


def test_a_reader_of_the_screen_stumbles_over_nothing(page, browser, server):
    assert not violations(page)
    draw(page, "K")
    wait_until_read(page)
    assert not violations(page)
    with tab(browser, server.url, color_scheme="dark") as dark:
        draw(dark, "K")
        wait_until_read(dark)
        assert not violations(dark)
        assert dark.locator(READY).count() == 1
