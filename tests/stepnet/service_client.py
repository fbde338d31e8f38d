"""The service in a thread, and a client that asks it."""

import http.client
import io
import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np

from stepnet.boards.pool import open_pool
from stepnet.link.share import listen
from stepnet.service.app import Limits, make_app
from stepnet.web.serving import make_server


def npy(array):
    """An array as `numpy.save` writes it."""
    packed = io.BytesIO()
    np.save(packed, array)
    return packed.getvalue()


def ask(port, path, body=None, method=None, **headers):
    """What a request gets: status, headers, and the body read as JSON where it is some."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method or ("GET" if body is None else "POST"), path, body, named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.headers["content-type"] == "application/json":
        content = json.loads(content)
    return answer.status, answer.headers, content


@contextmanager
def serving_pool(wheres, network, *, limits=None, come_back=False, **access):
    """Serve a pool of boards; gives its `port`, the `pool` and `stop`."""
    with listen("127.0.0.1:0") as listener:
        pool = open_pool(wheres, network, timeout_s=1.0, come_back=come_back)
        ready = threading.Event()
        app = make_app(pool, limits or Limits(), **access)
        server = make_server(app, ready.set, most_connections=64, stop_s=5)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert ready.wait(20)

        def stop():
            server.should_exit = True
            thread.join()

        try:
            yield SimpleNamespace(port=listener.getsockname()[1], pool=pool, stop=stop)
        finally:
            stop()
