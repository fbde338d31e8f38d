"""How long it is worth to wait for an answer."""

import pytest

from stepnet.link.round_trip import FIRST_PATIENCE_S, LEAST_PATIENCE_S, RoundTrip


def measured(*samples_s):
    round_trip = RoundTrip()
    for sample_s in samples_s:
        round_trip.add(sample_s)
    return round_trip


def test_before_anything_was_measured():
    assert measured().seconds == 0
    assert measured().patience_s(10.0) == FIRST_PATIENCE_S
    assert measured().patience_s(0.1) == 0.1


def test_the_example_of_rfc_6298():
    """R gives R and a deviation of R/2; then R' gives 7/8 R + R'/8 and 3/8 R + |R - R'|/4."""
    assert measured(0.4).patience_s(10.0) == pytest.approx(0.4 + 4 * 0.2)
    both = measured(0.4, 0.8)
    assert both.seconds == pytest.approx(0.45)
    assert both.patience_s(10.0) == pytest.approx(0.45 + 4 * 0.25)


def test_steady_answers_bring_patience_down_to_a_little_more_than_they_take():
    assert measured(*[0.2] * 100).patience_s(10.0) == pytest.approx(0.2)


def test_patience_has_bounds():
    assert measured(*[1e-5] * 10).patience_s(10.0) == LEAST_PATIENCE_S
    assert measured(3.0).patience_s(1.25) == 1.25
