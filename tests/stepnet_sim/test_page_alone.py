"""The page as files: its own reference, its protocol, and a board that it reaches by itself."""

import base64
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from browser import (
    as_files,
    chromium,
    draw,
    lit,
    needs_chromium,
    seen_pixels,
    shown,
    tab,
    violations,
    wait_until_read,
)
from peer import Peer
from stepnet.boards.identity import shape_fields
from stepnet.cores.engine.memory_image import enlarged, memory_image
from stepnet.cores.engine.shape import EngineShape
from stepnet.link.messages import pack_pixels
from stepnet.networks import kinds, lut, reference
from stepnet.networks.lut import LutNetwork
from stepnet.networks.random_networks import (
    RandomMap,
    random_convolution_network,
    random_network,
)
from stepnet.networks.shipped import load_any_network, load_network
from stepnet.pictures.preparing import prepare_character, prepare_drawing
from stepnet.samples import sample_pictures
from stepnet.web.catalogue import page_names
from stepnet.web.network_json import network_json
from stepnet_sim.chips.design import Design
from stepnet_sim.chips.verilated import missing_compiler
from stepnet_sim.chips.virtual_board import open_link

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page"), needs_chromium]

VECTORS = Path(__file__).parents[2] / "docs" / "protocol_vectors.json"

IMAGES = 1000


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    networks = [load_any_network(name) for name in ("ascii", "digits", "digits-lut-small")]
    with as_files(tmp_path_factory.mktemp("site"), networks) as url:
        yield url


@pytest.fixture(scope="module")
def page(browser, site):
    with tab(browser, site) as opened:
        yield opened


@pytest.fixture(scope="module")
def images():
    """Handwriting, moved and damaged more and more, and random pixels: (1000, 28, 28) bool."""
    random = np.random.default_rng(20)
    drawn = [
        prepare_character(path, load_network("digits")).images[0] for path, _ in sample_pictures()
    ]
    made = []
    for number in range(IMAGES):
        image = drawn[number % len(drawn)] >= 64
        image = np.roll(image, random.integers(-4, 5, 2), axis=(0, 1))
        if number % 5 == 4:
            image = np.zeros_like(image)
        made.append(image ^ (random.random(image.shape) < random.choice([0, 0.01, 0.1, 0.5])))
    return np.stack(made)


READ_ALL = """async ([json, packed, count]) => {
    const { readNetwork, bytesOf, unpackBits } = await import('/js/network.js');
    const { infer } = await import('/js/reference.js');
    const network = readNetwork(json);
    const size = network.height * network.width;
    const bits = unpackBits(bytesOf(packed), count * size);
    const codes = [], margins = [], last = [];
    for (let image = 0; image < count; image++) {
        const found = infer(network, bits.subarray(image * size, (image + 1) * size));
        codes.push(found.code);
        margins.push(found.margin);
        last.push(Array.from(found.totals));
    }
    return { codes, margins, last };
}"""


def read_in_the_page(page, network, images):
    packed = base64.b64encode(pack_pixels(images)).decode()
    return page.evaluate(READ_ALL, [network_json(network), packed, len(images)])


def check_equal(page, network, images):
    found = read_in_the_page(page, network, images)
    np.testing.assert_array_equal(found["codes"], kinds.infer(network, images))
    specification = lut if isinstance(network, LutNetwork) else reference
    np.testing.assert_array_equal(found["margins"], specification.margin(network, images))


@pytest.mark.parametrize("name", page_names())
def test_the_reference_equals_numpy(page, images, name):
    check_equal(page, load_any_network(name), images)


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_reference_equals_numpy_for_every_width_of_weights(page, bits):
    random = np.random.default_rng(bits)
    for readout, rows, known in (("bits", 8, 255), ("tree", 15, 15), ("nearest", 5, 5)):
        network = random_network(
            random,
            (40, 9, rows),
            (bits, bits),
            height=5,
            readout=readout,
            alphabet="".join(map(chr, range(1, known + 1))),
            spread=0.0,
        )
        check_equal(page, network, random.random((60, 5, 8)) < 0.5)


def test_a_drawing_is_placed_as_in_python(page):
    """Both from the same pixels: letters of random strokes, thick and thin, dots and specks."""
    random = np.random.default_rng(3)
    drawings = [
        [
            (float(random.choice([3, 8, 16, 34])), random.uniform(0, 280, (4, 2)).tolist())
            for _ in range(random.integers(1, 4))
        ]
        for _ in range(40)
    ]
    full_stop, letter = [[140, 140], [141, 141]], [[140, 40], [140, 180]]
    speck = [[20, 20], [20.1, 20]]
    drawings += [[(16, full_stop)], [(30, letter), (4, speck)], [(30, letter), (20, speck)]]
    names = ("ascii", "digits")
    for drawing in drawings:
        found = page.evaluate(
            """async ([strokes, files]) => {
                const { readNetwork } = await import('/js/network.js');
                const { prepareDrawing } = await import('/js/pictures/preparing.js');
                const canvas = new OffscreenCanvas(328, 328);
                const context = canvas.getContext('2d', { willReadFrequently: true });
                context.fillStyle = '#fff';
                context.fillRect(0, 0, 328, 328);
                context.translate(24, 24);
                context.lineCap = context.lineJoin = 'round';
                for (const [width, points] of strokes) {
                    context.lineWidth = width;
                    context.beginPath();
                    points.forEach(([x, y]) => context.lineTo(x, y));
                    context.stroke();
                }
                const { data } = context.getImageData(0, 0, 328, 328);
                const grey = data.filter((value, i) => i % 4 === 0);
                const drawn = { width: 328, height: 328, data: Float32Array.from(grey) };
                window.networks ??= await Promise.all(files.map(async (file) =>
                    readNetwork(await (await fetch(`networks/${file}.json`)).json())));
                const text = (bytes) => btoa(String.fromCharCode(...bytes));
                let packed = '';
                for (let i = 0; i < grey.length; i += 4096) {
                    packed += String.fromCharCode(...grey.subarray(i, i + 4096));
                }
                return {
                    grey: btoa(packed),
                    placed: window.networks.map(
                        (network) => text(prepareDrawing(network, drawn).images[0])),
                };
            }""",
            [drawing, names],
        )
        grey = np.frombuffer(base64.b64decode(found["grey"]), np.uint8).reshape(328, 328)
        for name, placed in zip(names, found["placed"], strict=True):
            there = np.frombuffer(base64.b64decode(placed), np.uint8).reshape(28, 28)
            (here,) = prepare_drawing(grey, load_network(name)).images
            np.testing.assert_array_equal(there, here, f"{name}: {drawing}")


def test_the_protocol_passes_the_vectors(page):
    failed = page.evaluate(
        """async (vectors) => {
            const protocol = await import('/js/protocol.js');
            const { memoryImage, loads, shapeOf } = await import('/js/memory_image.js');
            const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
            const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0'))
                .join('').toUpperCase();
            const failed = [];
            let checked = 0;
            const same = (what, found, expected) => {
                checked++;
                if (JSON.stringify(found) !== JSON.stringify(expected)) {
                    failed.push([what, found, expected]);
                }
            };
            same('version', protocol.PROTOCOL_VERSION, vectors.protocol_version);
            for (const { data, crc } of vectors.crc16) {
                same('crc', protocol.crc16(bytes(data)), parseInt(crc, 16));
            }
            for (const { data, encoded } of vectors.cobs) {
                same('encoded', hex(protocol.cobsEncode(bytes(data))), encoded);
                same('decoded', hex(protocol.cobsDecode(bytes(encoded))), data);
            }
            const messages = [...vectors.messages,
                ...vectors.conversation.flatMap(({ request, answer }) => [request, answer])];
            for (const { kind, fields, data, payload, frame } of messages) {
                const layout = protocol.LAYOUTS[kind ?? 'HEADER'];
                same(kind, hex(protocol.pack(layout, fields, bytes(data))), payload);
                same(kind, protocol.unpack(layout, bytes(payload)), fields);
                same(kind, hex(protocol.encodeFrame(bytes(payload))), frame);
                same(kind, new protocol.FrameReader().feed(bytes(frame)).map(hex), [payload]);
            }
            for (const { name, frame } of vectors.broken_frames) {
                const reader = new protocol.FrameReader();
                same(name, [reader.feed(bytes(frame)), reader.dropped], [[], 1]);
            }
            const { network, lanes } = vectors;
            const layers = network.layers.map(({ weight_bits, weights, thresholds }) => ({
                nIn: weights[0].length, nOut: weights.length, weightBits: weight_bits,
                fanIn: weights[0].length, neurons: weights.length, convolution: null,
                weights: Int8Array.from(weights.flat()), thresholds: Int32Array.from(thresholds),
            }));
            const small = {
                ...network, name: 'rows', kind: 'step', readout: 'bits', codePrefix: '', layers,
                imageBytes: 2, rows: { count: 7 },
            };
            const board = vectors.conversation[0].answer.fields;
            const image = memoryImage(small, shapeOf(board));
            same('digest', image.digest, network.digest);
            same('parameters', hex(image.parameters), network.parameter_words.join(''));
            same('weights', hex(image.weights), network.weight_words.join(''));
            const other = memoryImage(small, shapeOf(lanes.shape));
            same('digest of lanes', other.digest, lanes.digest);
            same('loads', Array.from(loads(other, 16), ({ address, space, data }) =>
                ({ address, space, data: hex(data) })), lanes.loads);
            return { failed, checked };
        }""",
        json.loads(VECTORS.read_text()),
    )
    assert failed["failed"] == []
    assert failed["checked"] > 100


def digest_in_the_page(page, network, shape):
    """The digest of the memories, or the sentence why they cannot hold the network."""
    return page.evaluate(
        """async ([json, shape]) => {
            const { readNetwork } = await import('/js/network.js');
            const { memoryImage, shapeOf } = await import('/js/memory_image.js');
            try {
                return memoryImage(readNetwork(json), shapeOf(shape)).digest;
            } catch (error) {
                return error.message;
            }
        }""",
        [network_json(network), shape_fields(shape)],
    )


@pytest.mark.parametrize("name", ["ascii", "digits-medium", "ascii-bits", "ascii-nearest"])
def test_a_network_lies_in_the_memories_as_in_python(page, name):
    network = load_network(name)
    shape = Design().shape
    assert digest_in_the_page(page, network, shape) == memory_image(network, shape).digest


MAPS = (
    (RandomMap(9, 4, padding=1, pool=True), RandomMap(5, 3, stride=2), RandomMap(7, 2)),
    (RandomMap(6, 3, stride=2, padding=2, weight_bits=3), RandomMap(20, 2, padding=1, pool=True)),
)
"""Every geometry: with and without padding, stride, pooling and more bits."""


@pytest.mark.parametrize("maps", MAPS)
def test_convolutions_lie_in_the_memories_as_in_python(page, maps):
    network = random_convolution_network(np.random.default_rng(7), 14, 11, maps, hidden=9)
    several = ({"simd": 16}, {"simd": 32, "pe": 3, "map_windows": 2}, {"simd": 24, "pe": 4})
    for widths in several:
        least = EngineShape(**widths, max_inputs=48 * widths["simd"] // 8, map_words=2)
        shape = enlarged(least, network)
        assert digest_in_the_page(page, network, shape) == memory_image(network, shape).digest


def test_convolutions_that_a_board_cannot_walk_are_refused(page):
    shape = EngineShape(16, max_inputs=256, weight_words=1024, parameter_words=256, map_words=64)

    def refusal(shape, height, width, *maps):
        network = random_convolution_network(np.random.default_rng(0), height, width, maps)
        return digest_in_the_page(page, network, shape)

    assert refusal(replace(shape, map_words=0), 9, 9, RandomMap(4, 3)) == (
        "Network random does not fit the board: its layer 0 is a convolution, which the board's "
        "engine was built without; choose a network of dense layers."
    )
    assert refusal(shape, 9, 9, RandomMap(4, 5)) == (
        "Network random does not fit the board: layer 0 has a kernel of 5 x 5 over the image, and "
        "the board takes up to 4 x 4; choose a smaller network."
    )
    assert refusal(shape, 9, 1, RandomMap(4, 1)) == (
        "Network random does not fit the board: layer 0 is a convolution over an image of one "
        "column; choose a smaller network."
    )
    assert refusal(shape, 2, 260, RandomMap(4, 2)) == (
        "Network random does not fit the board: layer 0 sees a map of 260 rows or columns, and the "
        "board takes up to 256; choose a smaller network."
    )
    assert refusal(shape, 12, 12, RandomMap(4, 3)) == (
        "Network random does not fit the board: layer 0 gives a map of 100 words, and the board "
        "has 64; choose a smaller network."
    )
    two = replace(shape, map_windows=2)
    assert refusal(two, 3, 3, RandomMap(257, 3)) == (
        "Network random does not fit the board: layer 0 gives 17 words at a position, and the "
        "board takes up to 16; choose a smaller network."
    )


@pytest.mark.parametrize("maps", MAPS)
def test_the_reference_equals_numpy_for_every_geometry(page, maps):
    random = np.random.default_rng(8)
    network = random_convolution_network(random, 14, 11, maps, hidden=9)
    check_equal(page, network, random.random((60, 14, 11)) < 0.5)


def test_the_page_reads_by_itself(browser, site):
    with tab(browser, site) as page:
        draw(page, "K")
        wait_until_read(page)
        assert (shown(page), lit(page)) == ("K", f"{ord('K'):07b}")
        assert page.locator("#by").inner_text() == "this page"
        page.locator("#network").select_option("digits-lut-small")
        page.locator("#about", has_text="digits-lut-small").wait_for()
        page.locator("#clear").click()
        draw(page, "7")
        wait_until_read(page)
        best = page.locator("#decisions tbody tr")
        assert best.count() == 5
        assert best.first.locator("td").first.inner_text() == "7"
        fired = page.locator("#layers figcaption").last.inner_text()
        assert "1020 tables" in fired
        lights = page.locator("#layers canvas").last
        lights.focus()
        page.keyboard.press("Enter")
        assert page.locator("#neuron .entry").count() == 16


@pytest.mark.parametrize(
    ("name", "subject"),
    [("digits-conv", "Sum {}"), ("ascii-conv", "The largest sum of 2 \u00d7 2 windows, {},")],
)
def test_the_lights_of_a_convolution(browser, tmp_path, name, subject):
    """A click on one opens its kernel, and the arrow keys stay in one map."""
    network = load_network(name)
    with as_files(tmp_path, [network]) as site, tab(browser, site) as page:
        draw(page, "7")
        wait_until_read(page)
        assert shown(page) == "7"
        states = reference.activations(network, seen_pixels(page)[np.newaxis])
        layer, below = network.layers[1], states[1]
        seen = layer.convolution
        caption = page.locator("#layers figcaption").nth(2).inner_text()
        count = f"{layer.neurons} neurons at {seen.out_width} \u00d7 {seen.out_height} places"
        assert caption == f"Layer 2\n{count}, {states[2].sum()} on"
        lights = page.locator("#layers canvas").nth(2)
        lights.focus()
        for key in ("PageDown", "PageDown", "PageDown", "ArrowRight", "ArrowDown", "ArrowDown"):
            page.keyboard.press(key)
        row, column, neuron = 2, 1, 3
        answer = (row * seen.out_width + column) * layer.neurons + neuron
        state = "on" if states[2][0, answer] else "off"
        assert lights.get_attribute("aria-valuetext") == (
            f"neuron 3 of {layer.neurons}, row 2, column 1, {state}"
        )
        page.keyboard.press("Enter")
        assert (
            page.locator("#neuron-title").inner_text() == "Neuron 3 at row 2, column 1 of layer 2"
        )
        side = seen.pool_side
        windows = seen.windows(below)[:, row * side : (row + 1) * side]
        sums = reference.sums(layer, windows[:, :, column * side : (column + 1) * side])
        total, threshold = int(sums[..., neuron].max()), int(layer.thresholds[neuron])
        expected = (
            f"{subject.format(total)} {'reaches' if total >= threshold else 'is below'} "
            f"the threshold {threshold}, so the neuron is {state}."
        ).replace("-", "\N{MINUS SIGN}")
        assert page.locator("#neuron .conclusion").inner_text() == expected
        assert not violations(page)


def test_without_web_serial_the_page_says_so(browser, site):
    with tab(browser, site) as page:
        page.add_init_script("delete Navigator.prototype.serial")
        page.reload()
        page.locator("#serial-help").wait_for()
        assert page.locator("#serial-help").inner_text() == (
            "This browser has no Web Serial, so a board cannot be reached from here; Chrome, Edge "
            "and Firefox from 151 on have it. The page reads by itself."
        )
        assert not page.locator("#connect").is_visible()


SERIAL = """
    const port = {
        async open(options) {
            window.bauds.push(options.baudRate);
            const answers = options.baudRate === 3000000;
            this.gone = false;
            this.readable = new ReadableStream({
                pull: async (controller) => {
                    while (!port.gone) {
                        const bytes = answers ? await window.boardRead() : [];
                        if (bytes.length) { controller.enqueue(Uint8Array.from(bytes)); return; }
                        await new Promise((done) => setTimeout(done, 5));
                    }
                    if (port.plugged) controller.close();
                    else controller.error(new Error('The device has been lost.'));
                },
                cancel() { port.gone = true; },
            });
            this.writable = new WritableStream({
                write: (bytes) => answers && window.boardWrite(Array.from(bytes)),
            });
        },
        async close() {},
        getInfo: () => ({ usbVendorId: 0x0403, usbProductId: 0x6010 }),
        plugged: true,
        unplug() { this.plugged = false; this.gone = true; },
    };
    window.bauds = [];
    window.port = port;
    Object.defineProperty(navigator, 'serial', {
        value: { requestPort: async () => port }, configurable: true });
"""
"""A serial port of an FT2232H whose other end is the virtual board, at 3 Mbaud."""


FTDI_BAUDS = [12_000_000, 8_000_000, 3_000_000, 2_000_000, 1_000_000]
"""The order in which the page tries the rates of that chip."""


@pytest.mark.skipif(missing_compiler() is not None, reason=f"{missing_compiler()} is not installed")
def test_a_board_through_web_serial(browser, site):
    with tab(browser, site) as page, closing(open_link()) as link:
        page.expose_function("boardWrite", lambda data: link.write(bytes(data)))
        page.expose_function("boardRead", lambda: list(link.read(0.002)))
        page.add_init_script(SERIAL)
        page.reload()
        page.locator("#network").select_option("digits")
        page.locator("#about", has_text="digits:").wait_for()
        page.locator("#connect").click()
        page.locator("#status", has_text="board connected, 42 MHz").wait_for()
        bauds = page.evaluate("window.bauds")
        assert bauds[-1] == 3_000_000
        # A busy machine may answer too late for the first round, whose waits are short.
        assert bauds == (FTDI_BAUDS * 2)[: len(bauds)]
        draw(page, "7")
        page.locator("#by", has_text="the board").wait_for()
        wait_until_read(page)
        assert (shown(page), lit(page)) == ("7", f"{ord('7'):07b}")
        assert page.locator("#agrees-name").inner_text() == "this page"
        assert page.locator("#agrees").inner_text() == "agrees"
        assert page.locator("#cycles").inner_text().startswith("1804 ")
        page.locator("#network").select_option("digits-lut-small")
        page.locator("#notice", has_text="choose a step network").wait_for()
        page.locator("#network").select_option("digits")
        page.evaluate("window.port.unplug()")
        page.locator("#status", has_text="no board").wait_for()
        assert page.locator("#notice").inner_text() == (
            "The connection to the board broke (The device has been lost.); connect it again."
        )
        page.locator("#by", has_text="this page").wait_for()
        assert shown(page) == "7"


def test_a_board_with_convolutions_through_web_serial(browser, tmp_path):
    """It reads from what the page wrote into its memories."""
    network = load_network("digits-conv")
    shape = enlarged(EngineShape(64, pe=4, max_inputs=1024, map_words=2), network)
    peer, said = Peer(shape), bytearray()

    def read():
        answer = list(said)
        said.clear()
        return answer

    with as_files(tmp_path, [network]) as site, tab(browser, site) as page:
        page.expose_function("boardWrite", lambda data: said.extend(peer.receive(bytes(data))))
        page.expose_function("boardRead", read)
        page.add_init_script(SERIAL)
        page.reload()
        page.locator("#about", has_text="digits-conv:").wait_for()
        page.locator("#connect").click()
        page.locator("#status", has_text="board connected, 12 MHz").wait_for()
        draw(page, "7")
        page.locator("#by", has_text="the board").wait_for()
        wait_until_read(page)
        assert shown(page) == "7"
        assert peer.digest == memory_image(network, shape).digest
        assert page.locator("#agrees-name").inner_text() == "this page"
