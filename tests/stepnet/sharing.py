"""A small network, and boards shared with clients on this machine."""

import re
import sys
import threading
from contextlib import contextmanager

import numpy as np

from small_networks import small_network
from stepnet.link.link import SerialLink
from stepnet.link.share import Share, listen, shared_at
from stepnet.networks import reference

TIMEOUT_S = 20.0
STEPNET = (sys.executable, "-m", "stepnet")
ADDRESS = r"127\.0\.0\.1:\d+"
BUSY = "The board is in use by another client; try again when that one has left."


NETWORK = small_network()
IMAGES = np.random.default_rng(1).integers(0, 256, (20, 5, 6), dtype=np.uint8)
CODES = reference.infer(NETWORK, IMAGES).tolist()


def codes(readings):
    return [reading.code for reading in readings]


class Reports:
    """What a share reports, and a way to wait for it."""

    def __init__(self):
        self.all = []
        self._changed = threading.Condition()

    def __call__(self, message):
        with self._changed:
            self.all.append(re.sub(ADDRESS, "CLIENT", message))
            self._changed.notify_all()

    def wait_for(self, message, times=1):
        with self._changed:
            seen = self._changed.wait_for(lambda: self.all.count(message) >= times, TIMEOUT_S)
        assert seen, self.all


@contextmanager
def sharing(where, *, token=None, once=False):
    """Share the board at `where`; gives the URL, the reports and the thread that serves."""
    reports = Reports()
    with listen("127.0.0.1:0") as listener:
        shared = Share(lambda: SerialLink(where), listener, token=token, report=reports)
        thread = threading.Thread(target=shared.serve, kwargs={"once": once})
        thread.start()
        try:
            yield shared_at(listener), reports, thread
        finally:
            shared.stop()
            thread.join()


def with_token(url, token):
    return url.replace("socket://", f"socket://{token}@")
