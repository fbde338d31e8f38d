"""How much the service takes on at once."""

import pytest

from stepnet.service.admission import Admission, BusyError


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


def test_as_many_requests_as_there_are_places():
    admission = Admission(most_requests=2, most_images=10)
    with admission.request():
        with admission.request():
            with pytest.raises(BusyError) as refused, admission.request():
                pass
            assert str(refused.value) == (
                "2 requests are being answered, which is the most at once; send this one again "
                "later, or post more pictures in each."
            )
            assert refused.value.retry_after_s == 1
        with admission.request():
            assert admission.requests == 2
    assert admission.requests == 0


def test_as_many_images_as_may_wait():
    admission = Admission(most_requests=2, most_images=10)
    with admission.waiting(8):
        with admission.waiting(2):
            assert admission.images == 10
        with pytest.raises(BusyError) as refused, admission.waiting(3):
            pass
        assert str(refused.value) == (
            "8 images wait for a board, and with these 3 there would be more than 10; send them "
            "again later."
        )
        assert admission.images == 8
    with admission.waiting(11):  # alone
        assert admission.images == 11
    assert admission.images == 0


def test_a_place_is_given_back_after_an_error():
    admission = Admission(most_requests=1, most_images=1)
    with pytest.raises(KeyError), admission.request(), admission.waiting(5):
        raise KeyError
    assert (admission.requests, admission.images) == (0, 0)


def test_when_to_come_again_follows_from_the_rate_of_late():
    clock = Clock()
    admission = Admission(most_requests=9, most_images=600, clock=clock)
    for _ in range(4):
        with admission.waiting(50):
            clock.now_s += 1.0  # 50 images a second
    for images, retry_after_s in ((600, 12), (20, 1)):
        with (
            admission.waiting(images),
            pytest.raises(BusyError) as refused,
            admission.waiting(601),
        ):
            pass
        assert refused.value.retry_after_s == retry_after_s


def test_nobody_is_sent_away_for_longer_than_a_minute():
    clock = Clock()
    admission = Admission(most_requests=9, most_images=10, clock=clock)
    with admission.waiting(1):
        clock.now_s += 50.0
    with admission.waiting(10), pytest.raises(BusyError) as refused, admission.waiting(1):
        pass
    assert refused.value.retry_after_s == 60
