"""Boards by name, and platforms of one's own."""

import pytest
from amaranth_boards.icestick import ICEStickPlatform

from stepnet.errors import BuildError
from stepnet.memory_image import memory_image
from stepnet.networks import load_network
from stepnet_hdl.boards import PARTS, all_boards, find_board


def test_boards_that_people_own_are_there():
    boards = all_boards()
    expected = {"icebreaker", "icesugar", "ice40hx8kbevn", "ulx3s-12f", "ulx3s-85f", "ecpix545"}
    assert expected <= set(boards)
    assert list(boards) == sorted(boards)
    assert boards["ulx3s-85f"].device == "LFE5U-85F"


def test_icebreaker_runs_from_the_pll_and_others_from_their_oscillator():
    assert find_board("icebreaker").clock_hz == 24_000_000
    assert find_board("ulx3s-25f").clock_hz == 25_000_000


def test_memories_fit_their_part():
    bits_per_block_ram = {"iCE40": 4096, "LFE5U": 16384}
    for device, part in PARTS.items():
        if part.shape.weight_memory == "single_port":
            assert part.shape.simd * part.shape.weight_words <= 4 * 16384 * 16
        else:
            bits = bits_per_block_ram[device[:5]]
            assert part.shape.simd * part.shape.weight_words < part.block_rams * bits


@pytest.mark.parametrize(
    ("board", "network"),
    [
        ("icebreaker", "digits"),
        ("icebreaker", "digits-medium"),
        ("icebreaker", "ascii"),
        ("icebreaker", "ascii-bits"),
        ("icebreaker", "ascii-nearest"),
        ("icebreaker", "letters"),
        ("ulx3s-85f", "digits-large"),
    ],
)
def test_a_shipped_network_fits_a_board(board, network):
    image = memory_image(load_network(network), find_board(board).part.shape)
    assert len(image.weights) <= find_board(board).part.shape.weight_words


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("icebraker", "There is no board 'icebraker'; did you mean icebreaker?"),
        ("zzz", "There is no board 'zzz'; `stepnet boards` lists all."),
        (
            "no_such_module:Board",
            "The platform 'no_such_module:Board' cannot be imported (No module named "
            "'no_such_module'); name it as module:Class of a module that Python finds.",
        ),
        (
            "amaranth_boards.icestick:ICEStickPlatform",
            "The platform 'amaranth_boards.icestick:ICEStickPlatform' cannot carry Stepnet; it has "
            f"to be an Amaranth platform with a resource 'uart' and one of the parts "
            f"{', '.join(PARTS)}.",
        ),
    ],
)
def test_unknown_boards(name, sentence):
    assert ICEStickPlatform.device not in PARTS
    with pytest.raises(BuildError) as caught:
        find_board(name)
    assert str(caught.value) == sentence


def test_own_platform():
    board = find_board("amaranth_boards.icebreaker:ICEBreakerPlatform")
    assert board.clock_hz == 24_000_000
