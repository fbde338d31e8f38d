"""The search for the largest clock, with builds that reach what the test says."""

from dataclasses import replace

import pytest

from stepnet_hdl.boards.rates import best_baud
from stepnet_hdl.boards.settings import SETTINGS
from stepnet_hdl.flow import clock_search as fastest
from stepnet_hdl.flow.build import BuildSettings
from stepnet_hdl.flow.clock_search import fastest_settings


@pytest.fixture
def search(monkeypatch, tmp_path):
    """Searches for the iCEBreaker, with the frequency in MHz that is reached for each clock in MHz;
    returns the clock found and the clocks tried, in MHz."""

    def search(reached_mhz, board="icebreaker", baud=1_000_000):
        tried = []

        def find_or_build(settings, folder, *, progress, cache, scheduler):
            clock_mhz = settings.clock_hz / 1e6
            tried.append(clock_mhz)
            return folder, Report(reached_mhz[clock_mhz] * 1e6, settings.clock_hz)

        monkeypatch.setattr(fastest, "find_or_build", find_or_build)
        for device, clock_hz in (("iCE40UP5K", 24_000_000), ("LFE5U-25F", 50_000_000)):
            slower = replace(SETTINGS[device], clock_hz=clock_hz)
            monkeypatch.setitem(SETTINGS, device, slower)
        settings = BuildSettings(board, baud)
        found = fastest_settings(settings, tmp_path, progress=lambda _: None)
        assert found.baud == (baud or best_baud(board, lambda _: found.clock_hz))
        return found.clock_hz / 1e6, tried

    return search


class Report:
    def __init__(self, max_frequency_hz, clock_hz):
        self.max_frequency_hz = max_frequency_hz
        self.spare = max_frequency_hz / clock_hz - 1


def test_goes_up_as_long_as_it_is_met(search):
    # 12 MHz and the PLL give 24, 27, 30, 33, 36, ... MHz.
    assert search({24: 34.5, 30: 35.0, 33: 34.0}) == (30, [24, 30, 33])


def test_goes_down_if_the_usual_clock_is_not_met(search):
    assert search({24: 23.0, 21: 22.5}) == (21, [24, 21])


def test_stays_where_nothing_is_gained(search):
    assert search({24: 25.5}) == (24, [24])


def test_clock_has_to_divide_into_the_baud_rate(search):
    # 50 and 49 MHz are 1 % off at 12 Mbaud, divided by 4 1/8.
    clock_mhz, tried = search({45: 53.0, 50: 60.0}, "ulx3s-25f", baud=12_000_000)
    assert (clock_mhz, tried) == (45, [45])


def test_a_rate_that_is_not_named_is_the_highest_for_each_clock(search):
    # 24 MHz make 8 Mbaud and 21 MHz 3.
    assert search({24: 23.0, 21: 22.5}, baud=None) == (21, [24, 21])
