"""The page as `stepnet web` serves it, in a thread."""

import struct
import threading
import zlib
from contextlib import contextmanager
from types import SimpleNamespace

from stepnet.networks.shipped import load_any_network
from stepnet.web.app import make_app
from stepnet.web.catalogue import Catalogue
from stepnet.web.serving import listen_at, make_server, page_address
from stepnet.web.station import Station


def bomb(side=30_000):
    """A PNG of a few bytes that says it has so many pixels along each side."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@contextmanager
def serving_page(wheres, *, network="ascii", keep=None, port=0, token=None):
    """Serve the page of the first of some boards; gives its `url`, `port`, `station` and `stop`."""
    loaded = load_any_network(network) if isinstance(network, str) else network
    with listen_at(port, public=False) as listener:
        station = Station(wheres, wheres[0], loaded, timeout_s=1.0)
        port = listener.getsockname()[1]
        options = {"port": port, "public": token is not None, "token": token, "keep": keep}
        app = make_app(station, Catalogue([loaded]), **options)
        ready = threading.Event()
        server = make_server(app, ready.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert ready.wait(20)

        def stop():
            server.should_exit = True
            thread.join()

        try:
            yield SimpleNamespace(
                url=page_address(listener, public=False, token=None),
                port=port,
                station=station,
                stop=stop,
            )
        finally:
            stop()
