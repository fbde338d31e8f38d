"""What is said about analogue arrays before any is simulated: times, sizes, converters."""

import re

import pytest

from stepnet.analogue import ArraySettings, Thresholds, memory, read_time
from stepnet.errors import AnalogueError
from stepnet.learning import Config


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("20 s", 20),
        ("1min", 60),
        ("2.5hours", 9000),
        ("1day", 86_400),
        ("3 weeks", 1_814_400),
        ("6months", 15_778_800),
        ("1year", 31_557_600),
        ("1e3s", 1000),
    ],
)
def test_times_are_numbers_with_a_unit(text, seconds):
    assert read_time(text) == seconds


@pytest.mark.parametrize("text", ["", "day", "1", "1 fortnight", "1day1", "one day", "sday"])
def test_other_times_are_not_understood(text):
    with pytest.raises(AnalogueError) as caught:
        read_time(text)
    assert str(caught.value) == (
        f"The time {text!r} is not understood; give a number and one of s, min, hour, day, week, "
        "month, year, such as 1day."
    )


@pytest.mark.parametrize(("text", "seconds"), [("-1day", "-86400"), ("1e999s", "inf")])
def test_times_before_programming_are_refused(text, seconds):
    with pytest.raises(AnalogueError) as caught:
        read_time(text)
    assert str(caught.value) == (
        f"A time of {seconds} s is not after programming; give 0 or a finite time above."
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"adc_bits": 0},
            "An ADC of 0 bits cannot be made; give 1 to 16, or leave it out.",
        ),
        (
            {"adc_bits": 17},
            "An ADC of 17 bits cannot be made; give 1 to 16, or leave it out.",
        ),
        (
            {"dac_bits": 0, "thresholds": Thresholds.FIXED},
            "A DAC of 0 bits cannot be made; give 1 to 16, or leave it out.",
        ),
        (
            {"dac_bits": 8},
            "A DAC gives fixed thresholds to comparators, but thresholds are rows of the array "
            "here; leave it out.",
        ),
        (
            {"dac_bits": 8, "adc_bits": 8, "thresholds": Thresholds.FIXED},
            "A DAC gives fixed thresholds to comparators, but thresholds are numbers behind the "
            "ADC here; leave it out.",
        ),
        (
            {"tile_columns": 1},
            "An array of 256 x 1 cells holds no weight, which is a pair in two columns; give at "
            "least 1 row and 2 columns.",
        ),
        (
            {"wire_ohm": -0.5},
            "The wire from one cell to the next cannot have -0.5 ohms; give 0 or a finite number "
            "above.",
        ),
        (
            {"calibrated_after_s": 60.0},
            "Thresholds in rows of the array fade as the weights do and need no calibration; leave "
            "it out, or keep the thresholds fixed.",
        ),
        (
            {"calibrated_after_s": -60.0, "thresholds": Thresholds.FIXED},
            "A time of -60 s is not after programming; give 0 or a finite time above.",
        ),
    ],
)
def test_arrays_that_cannot_be_are_refused(settings, sentence):
    with pytest.raises(AnalogueError, match=f"^{re.escape(sentence)}$"):
        ArraySettings(**settings)


@pytest.mark.parametrize("asked", [memory, lambda name: Config(analogue=name)])
def test_memory_that_nobody_offers_is_refused(asked):
    with pytest.raises(AnalogueError) as caught:
        asked("magnets")
    assert str(caught.value) == "There is no analogue memory 'magnets'; choose one of: pcm."
