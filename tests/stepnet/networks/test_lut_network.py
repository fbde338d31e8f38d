"""LUT networks: the bit-parallel reference against its formulas, the file, and bad input."""

import json

import numpy as np
import pytest

import stepnet
from stepnet import Counts, LutLayer, LutNetwork, Readout
from stepnet.errors import ImageError, NetworkError
from stepnet.networks import kinds, lut
from stepnet.networks.network_file import content_digest

HEIGHT, WIDTH = 4, 5
PIXELS = HEIGHT * WIDTH

ROWS = {
    "bits": (7, {}),
    "tree": (7, {"code_prefix": "01100", "alphabet": "abcdefg"}),
    "nearest": (5, {"alphabet": "!abcé"}),
}


def layer(n_in, n_out, random):
    return LutLayer(random.integers(0, n_in, (n_out, 4)), random.integers(0, 1 << 16, n_out), n_in)


def network(readout="bits", sizes=(23, 40), seed=0, **changes):
    random = np.random.default_rng(seed)
    layers, n_in = [], PIXELS
    for n_out in sizes:
        layers.append(layer(n_in, n_out, random))
        n_in = n_out
    rows, fields = ROWS[readout]
    groups = random.integers(0, rows, n_in)
    # About half of the tables, so that rows are now here, now there.
    thresholds = np.bincount(groups, minlength=rows) // 2 + random.integers(0, 2, rows)
    counts = Counts(groups, thresholds)
    fields = {"height": HEIGHT, "width": WIDTH, "card": {"data": "none"}, **fields}
    return LutNetwork(
        **{"name": "small", "layers": layers, "counts": counts, "readout": readout}
        | fields
        | changes
    )


def pictures(count=150, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH)).astype(np.uint8)


def slow_states(network, image):
    """The bits of every layer by the formula, in Python's own numbers."""
    states = [[int(grey >= network.ink_threshold) for grey in image.flatten().tolist()]]
    for layer in network.layers:
        below = states[-1]
        states.append(
            [
                table >> (below[a] + 2 * below[b] + 4 * below[c] + 8 * below[d]) & 1
                for table, (a, b, c, d) in zip(
                    layer.tables.tolist(), layer.wires.tolist(), strict=True
                )
            ]
        )
    return states


def slow_counts(network, image):
    counted = [0] * network.counts.rows
    for answer, row in zip(
        slow_states(network, image)[-1], network.counts.groups.tolist(), strict=True
    ):
        counted[row] += answer
    return counted


def slow_code(network, counted):
    margins = [
        ones - threshold
        for ones, threshold in zip(counted, network.counts.thresholds.tolist(), strict=True)
    ]
    match network.readout:
        case Readout.BITS:
            return sum((margin >= 0) << bit for bit, margin in enumerate(margins))
        case Readout.TREE:
            row, code = 0, int(network.code_prefix, 2)
            while row < len(margins):
                bit = int(margins[row] >= 0)
                row, code = 2 * row + 1 + bit, 2 * code + bit
            return code
        case Readout.NEAREST:
            return ord(network.alphabet[margins.index(max(margins))])


@pytest.mark.parametrize("readout", Readout)
@pytest.mark.parametrize("sizes", [(31,), (23, 40), (9, 14, 30)])
def test_every_image_is_read_as_the_formulas_say(readout, sizes):
    some = network(readout, sizes)
    images = pictures()
    states = lut.activations(some, images)
    assert [state.tolist() for state in states] == [
        list(of_layer) for of_layer in zip(*(slow_states(some, i) for i in images), strict=True)
    ]
    counted = [slow_counts(some, image) for image in images]
    assert lut.sums(some, images).tolist() == counted
    codes = [slow_code(some, one) for one in counted]
    assert lut.infer(some, images).tolist() == codes
    assert len(set(codes)) > 2


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, lut.AT_ONCE, lut.AT_ONCE + 1])
def test_any_number_of_images_is_read(count):
    some = network()
    images = pictures(count, seed=2)
    one_by_one = [int(lut.infer(some, image[np.newaxis])[0]) for image in images]
    assert lut.infer(some, images).tolist() == one_by_one
    assert lut.infer(some, images).dtype == np.uint8


def test_images_of_booleans_are_read_as_they_are():
    some = network()
    images = pictures()
    assert (lut.infer(some, images >= 128) == lut.infer(some, images)).all()


def test_packing_keeps_every_bit_in_its_place():
    bits = np.random.default_rng(0).integers(0, 2, (130, 3)).astype(np.uint8)
    planes = lut.pack(bits)
    assert planes.shape == (3, 3)
    assert all(
        int(planes[bit, image // 64]) >> (image % 64) & 1 == bits[image, bit]
        for image in range(130)
        for bit in range(3)
    )
    assert (lut.unpack(planes, 130) == bits.T).all()


def test_tables_hold_their_answers_lowest_address_first():
    answers = np.zeros((2, 16), dtype=np.uint8)
    answers[0, 0] = answers[1, 15] = answers[1, 1] = 1
    assert lut.tables_of(answers).tolist() == [1, 0x8002]


def free_steps(count, threshold, size):
    """How far a count goes towards its threshold before the row changes, within 0 to size."""
    step = -1 if count >= threshold else 1
    steps = 0
    while 0 <= count + step <= size and (count + step >= threshold) == (step < 0):
        count += step
        steps += 1
    return steps


def rows_read(network, counted):
    """The rows that the code depends on."""
    if network.readout is Readout.BITS:
        return range(network.rows)
    path, row = [], 0
    while row < network.rows:
        path.append(row)
        row = 2 * row + 1 + int(counted[row] >= network.counts.thresholds[row])
    return path


@pytest.mark.parametrize("readout", [Readout.BITS, Readout.TREE])
def test_the_room_is_how_far_the_weakest_count_may_move(readout):
    some = network(readout)
    images = pictures(60, seed=4)
    for image, margin in zip(images, lut.margin(some, images).tolist(), strict=True):
        counted = slow_counts(some, image)
        assert margin == min(
            free_steps(counted[row], some.counts.thresholds[row], some.counts.sizes[row])
            for row in rows_read(some, counted)
        )


def test_the_room_of_the_nearest_is_how_far_the_best_is_ahead():
    some = network("nearest")
    images = pictures(60, seed=4)
    for image, margin in zip(images, lut.margin(some, images).tolist(), strict=True):
        counted = slow_counts(some, image)
        code = slow_code(some, counted)

        def keeps(step, counted=counted, code=code):
            return all(
                slow_code(some, [*counted[:row], counted[row] + way * step, *counted[row + 1 :]])
                == code
                for row in range(some.rows)
                for way in (1, -1)
            )

        assert keeps(margin)
        assert not keeps(margin + 1)


def test_a_file_gives_the_same_network_again(tmp_path):
    some = network("tree")
    again = LutNetwork.load(some.save(tmp_path / "some.npz"))
    assert again.digest == some.digest
    assert again.card == some.card
    assert (lut.infer(again, pictures()) == lut.infer(some, pictures())).all()
    assert isinstance(kinds.load(tmp_path / "some.npz"), LutNetwork)


def test_arrays_are_copies_that_nobody_changes():
    wires = np.zeros((3, 4), dtype=np.int32)
    one = LutLayer(wires, np.zeros(3, dtype=np.uint16), PIXELS)
    wires[0, 0] = 7
    assert one.wires[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        one.tables[0] = 1


def test_sizes_count_tables():
    some = network(sizes=(23, 40))
    assert some.sizes == (PIXELS, 23, 40)
    assert some.table_count == 63
    assert some.weight_bits_total == 63 * 16
    assert stepnet.LutNetwork is LutNetwork


def test_a_wire_outside_the_layer_below_is_refused():
    wires = np.zeros((3, 4))
    wires[2, 1] = 20
    with pytest.raises(NetworkError) as refusal:
        LutLayer(wires, np.zeros(3), PIXELS)
    assert str(refusal.value) == (
        "Input 1 of table 2 is wired to bit 20 of the layer below, which has bits 0 to 19."
    )


def test_a_file_whose_wires_point_outside_is_refused(tmp_path):
    some = network(sizes=(23, 40))
    arrays = some._arrays()
    arrays["wires_1"] = arrays["wires_1"].copy()
    arrays["wires_1"][5, 3] = 23
    header = some._header()
    np.savez(
        tmp_path / "odd.npz",
        schema_version=np.array(1),
        digest=np.array(content_digest(header, arrays)),
        header=np.array(header),
        **arrays,
    )
    with pytest.raises(NetworkError) as refusal:
        LutNetwork.load(tmp_path / "odd.npz")
    assert str(refusal.value) == (
        "Input 3 of table 5 is wired to bit 23 of the layer below, which has bits 0 to 22."
    )


def test_a_file_that_was_changed_is_refused(tmp_path):
    path = network().save(tmp_path / "some.npz")
    with np.load(path) as file:
        content = {key: file[key] for key in file.files}
    content["tables_0"] = content["tables_0"] ^ 1
    np.savez(path, **content)
    with pytest.raises(NetworkError) as refusal:
        LutNetwork.load(path)
    assert str(refusal.value) == (
        f"The network file {str(path)!r} is damaged: its content does not match its digest; "
        "train it again or fetch a fresh copy."
    )


def test_a_step_network_is_no_lut_network_and_the_other_way_round(tmp_path):
    some = network().save(tmp_path / "lut.npz")
    with pytest.raises(NetworkError) as refusal:
        stepnet.Network.load(some)
    assert str(refusal.value) == (
        f"The file {str(some)!r} holds a lut network, whose tables are no weights that an engine "
        "loads; name a step network."
    )
    weights = np.ones((7, PIXELS))
    step = stepnet.Network(
        "step", (stepnet.Layer(weights, np.zeros(7)),), height=HEIGHT, width=WIDTH
    )
    path = step.save(tmp_path / "step.npz")
    with pytest.raises(NetworkError) as refusal:
        LutNetwork.load(path)
    assert str(refusal.value) == (
        f"The file {str(path)!r} holds a step network, not a network of look-up tables; name one "
        "that `stepnet train --kind lut` made."
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: LutLayer(np.zeros((3, 5)), np.zeros(3), PIXELS),
            "The wires of a layer have shape (3, 5); give (tables, 4) with at least one table.",
        ),
        (
            lambda: LutLayer(np.zeros((3, 4)), np.zeros(2), PIXELS),
            "A layer of 3 tables has truth tables of shape (2,); give one of 16 bits per table.",
        ),
        (
            lambda: LutLayer(np.zeros((1, 4)), [1 << 16], PIXELS),
            "The tables of a layer reach from 65536 to 65536; they must lie in 0 to 65535.",
        ),
        (
            lambda: Counts([0, 3], [1, 1, 1]),
            "Table 1 of the last layer is counted for row 3, but there are rows 0 to 2.",
        ),
        (
            lambda: Counts([0, 3], []),
            "The groups have shape (2,) and the thresholds (0,); give (tables,) and (rows,), "
            "with at least one row.",
        ),
        (
            lambda: network(counts=Counts([0, 1], np.zeros(7))),
            "The last layer has 40 tables, but 2 are counted; give the row of each table.",
        ),
        (
            lambda: network(counts=Counts(np.zeros(40), np.zeros(9))),
            "Readout bits needs a last layer of 7 or 8 neurons, one per bit of the code, "
            "but it has 9.",
        ),
    ],
)
def test_what_does_not_hold_together_is_refused(make, sentence):
    with pytest.raises(NetworkError) as refusal:
        make()
    assert str(refusal.value) == sentence


def test_images_of_another_size_are_refused():
    with pytest.raises(ImageError):
        lut.infer(network(), np.zeros((3, 5, 4), dtype=np.uint8))


def test_the_file_says_its_kind():
    assert json.loads(network()._header())["kind"] == "lut"
