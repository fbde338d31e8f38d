"""What the service answers to good requests and to bad ones, with boards of Python."""

import json
import re
import threading
import time
from base64 import b64encode

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from PIL import Image, ImageDraw

import peer
from peer import CYCLES, MARGIN, Falling, HangUpError, Leaving, Peer, serving
from service_client import ask, npy, serving_pool
from small_networks import small_network
from stepnet.boards import pool as pools
from stepnet.link.messages import Request
from stepnet.networks import reference
from stepnet.samples import sample_pictures
from stepnet.service import uploads
from stepnet.service.app import Limits

NETWORK = small_network()
IMAGES = np.random.default_rng(1).integers(0, 256, (40, 5, 6), dtype=np.uint8)
CODES = reference.infer(NETWORK, IMAGES).tolist()
NPY = {"content_type": "application/x-npy"}
PNG = {"content_type": "image/png"}
SAMPLE = sample_pictures()[0][0].read_bytes()


class Held(peer.Peer):
    """Answers images only once `released`."""

    def __init__(self):
        super().__init__()
        self.released = threading.Event()
        self.came = threading.Event()

    def answer(self, payload):
        if payload[0] == Request.INFER:
            self.came.set()
            assert self.released.wait(20)
        return super().answer(payload)


@pytest.fixture
def service():
    """The service of one good board."""
    with serving(Peer()) as where, serving_pool([where], NETWORK) as served:
        yield served


def read_codes(answer):
    status, _, told = answer
    assert status == 200, told
    return [reading["code"] for reading in told["readings"]]


def schema(port, name):
    """A validator of one of the described answers."""
    document = ask(port, "/openapi.json")[2]
    return Draft202012Validator(document | {"$ref": f"#/components/schemas/{name}"})


def test_arrays_are_read_in_order(service):
    assert read_codes(ask(service.port, "/read?placed=yes", npy(IMAGES), **NPY)) == CODES
    _, headers, told = ask(service.port, "/read?placed=yes", npy(IMAGES[3]), **NPY)
    assert headers["content-type"] == "application/json"
    character = chr(CODES[3])
    known = character in NETWORK.alphabet
    reading = {
        "character": character if known else None,
        "code": CODES[3],
        "known": known,
        "margin": MARGIN,
        "cycles": CYCLES,
    }
    assert told == {"network": NETWORK.name, "readings": [reading]}


def test_a_picture_and_a_batch_of_pictures(service):
    (code,) = read_codes(ask(service.port, "/read", SAMPLE, **PNG))
    batch = json.dumps({"pictures": [b64encode(SAMPLE).decode()] * 3}).encode()
    answer = ask(service.port, "/read", batch, content_type="application/json")
    assert read_codes(answer) == [code] * 3


def test_a_line_is_joined_to_text(service, tmp_path):
    page = Image.new("L", (240, 60), 255)
    pen = ImageDraw.Draw(page)
    for left in (20, 60, 160, 200):
        pen.line((left, 10, left + 8, 50), fill=0, width=5)
    page.save(tmp_path / "line.png")
    status, _, told = ask(
        service.port, "/read?as=line", (tmp_path / "line.png").read_bytes(), **PNG
    )
    assert status == 200
    characters = [reading["character"] or "�" for reading in told["readings"]]
    assert len(characters) == 4
    assert told["text"].replace(" ", "") == "".join(characters)
    assert told["text"][2] == " "


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "sentence"),
    [
        (
            "/read?as=page",
            SAMPLE,
            "image/png",
            422,
            "The parameter as is 'page'; it may be picture, drawing, line.",
        ),
        (
            "/read?placed=maybe",
            npy(IMAGES),
            "application/x-npy",
            422,
            "The parameter placed is 'maybe'; it may be auto, yes, no.",
        ),
        (
            "/read",
            b"no picture",
            "image/png",
            422,
            "The file 'picture' is no picture or is damaged; give a PNG, a JPEG or another image "
            "file.",
        ),
        (
            "/read",
            SAMPLE,
            "text/html; charset=utf-8",
            415,
            "What a request of type 'text/html' holds is not known; post a picture as image/png or "
            "the like, a batch as application/json, or arrays as application/x-npy.",
        ),
        (
            "/read",
            b'{"images": []}',
            "application/json",
            422,
            'A batch is JSON like {"pictures": ["iVBORw0KGgo...", ...]}, each an encoded picture '
            "in base64; this request is none.",
        ),
        (
            "/read",
            b'{"pictures": ["AAAA", "?"]}',
            "application/json",
            422,
            "The picture 1 of the batch is no base64; encode its bytes so.",
        ),
        (
            "/read?as=line",
            b'{"pictures": ["AAAA"]}',
            "application/json",
            422,
            "A line is not read in a batch; post its picture alone.",
        ),
        (
            "/read",
            npy(IMAGES[0, 0]),
            "application/x-npy",
            422,
            "The array has the shape (6,); give (n, height, width), or (height, width) for one "
            "image.",
        ),
        (
            "/read",
            npy(IMAGES / 255),
            "application/x-npy",
            422,
            "The array is of float64; give uint8 grey values from 0 to 255, or bool.",
        ),
        (
            "/read",
            npy(IMAGES)[:-1],
            "application/x-npy",
            422,
            "The request is no .npy file as numpy.save writes it (An array of uint8 with the shape "
            "(40, 5, 6) has another size).",
        ),
        (
            "/read?placed=yes",
            npy(np.zeros((2, 5, 7), np.uint8)),
            "application/x-npy",
            422,
            "Image 0 of the array cannot be read: The image has 5 x 7 pixels, but network 'small' "
            "takes 5 x 6; `stepnet.picture.normalise` makes any picture fit.",
        ),
        ("/nothing", None, "", 404, "There is no GET /nothing here; /openapi.json says what"),
        ("/read", None, "", 405, "There is no GET /read here; /openapi.json says what there is."),
    ],
)
def test_requests_that_make_no_sense(service, path, body, kind, status, sentence):
    if path == "/nothing":
        sentence += " there is."
    got, _, told = ask(service.port, path, body, content_type=kind)
    assert (got, told) == (status, {"error": sentence})


def test_requests_that_are_too_large():
    limits = Limits(most_batch=39, most_bytes=2000)
    with serving(Peer()) as where, serving_pool([where], NETWORK, limits=limits) as served:
        assert ask(served.port, "/read", npy(IMAGES), **NPY)[::2] == (
            413,
            {
                "error": "The request has 40 images, and at most 39 are taken at a time; post them "
                "in several requests."
            },
        )
        assert ask(served.port, "/read", bytes(2001), **PNG)[::2] == (
            413,
            {
                "error": "The request has more than 0.00190735 MiB; post fewer or smaller pictures "
                "at a time."
            },
        )


@pytest.mark.slow
def test_a_request_that_never_ends(service, monkeypatch):
    monkeypatch.setattr(uploads, "BODY_S", 0.2)

    def dribble():
        yield b"x"
        time.sleep(0.6)
        yield b"y"

    status, _, told = ask(service.port, "/read", dribble(), **PNG)
    assert (status, told) == (
        408,
        {
            "error": "The request was not there after 0.2 s; send it faster, or fewer pictures at "
            "a time."
        },
    )


def test_more_than_is_taken_on_is_sent_away():
    held = Held()
    limits = Limits(most_requests=2, most_images=50)
    with serving(held) as where, serving_pool([where], NETWORK, limits=limits) as served:
        answers = []

        def post():
            answers.append(ask(served.port, "/read?placed=yes", npy(IMAGES), **NPY))

        first = threading.Thread(target=post)
        first.start()
        assert held.came.wait(20)
        status, headers, told = ask(served.port, "/read?placed=yes", npy(IMAGES), **NPY)
        assert (status, headers["retry-after"]) == (429, "1")
        assert told["error"] == (
            "40 images wait for a board, and with these 40 there would be more than 50; send them "
            "again later."
        )
        second = threading.Thread(
            target=lambda: ask(served.port, "/read?placed=yes", npy(IMAGES[:10]), **NPY)
        )
        second.start()
        while not re.search(rb"\nstepnet_requests_now 2", ask(served.port, "/metrics")[2]):
            time.sleep(0.01)
        status, headers, told = ask(served.port, "/read?placed=yes", npy(IMAGES[:1]), **NPY)
        assert (status, headers["retry-after"]) == (429, "1")
        held.released.set()
        first.join()
        second.join()
        assert read_codes(answers[0]) == CODES


def test_without_a_board_requests_are_refused_with_the_cause():
    with serving(Leaving()) as where, serving_pool([where], NETWORK) as served:
        assert ask(served.port, "/health")[::2] == (
            200,
            {"status": "ready", "boards": 1, "boards_working": 1},
        )
        status, headers, told = ask(served.port, "/read?placed=yes", npy(IMAGES), **NPY)
        assert (status, headers["retry-after"]) == (503, "2")
        assert told["error"].startswith(f"No board of the pool is left: {where!r} failed (")
        assert ask(served.port, "/health")[::2] == (
            503,
            {"status": "down", "boards": 1, "boards_working": 0},
        )
        (board,) = ask(served.port, "/boards")[2]["boards"]
        assert (board["works"], board["failures"]) == (False, 1)
        assert board["problem"]


@pytest.mark.slow
def test_a_board_that_comes_back_reads_again(monkeypatch):
    monkeypatch.setattr(pools, "RETRY_S", 0.05)
    falling = Falling(Request.INFER)
    with (
        serving(falling) as where,
        serving_pool([where, "/dev/nowhere"], NETWORK, come_back=True) as served,
    ):
        assert ask(served.port, "/read?placed=yes", npy(IMAGES), **NPY)[0] == 503
        falling.kind = None  # it is itself again
        deadline_s = time.monotonic() + 20
        while ask(served.port, "/health")[2]["status"] != "degraded":
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        assert read_codes(ask(served.port, "/read?placed=yes", npy(IMAGES), **NPY)) == CODES
        here, nowhere = ask(served.port, "/boards")[2]["boards"]
        assert (here["works"], here["failures"], here["images"]) == (True, 1, len(IMAGES))
        assert "There is no port '/dev/nowhere'" in nowhere["problem"]


@pytest.mark.slow
def test_the_images_of_a_lost_board_are_read_by_the_other():
    class LeavingInTheMiddle(Peer):
        def answer(self, payload):
            if self.requests.count(Request.INFER) == 5:
                raise HangUpError
            return super().answer(payload)

    with (
        serving(LeavingInTheMiddle()) as leaving,
        serving(Peer()) as staying,
        serving_pool([leaving, staying], NETWORK, come_back=True) as served,
    ):
        for _ in range(3):
            assert read_codes(ask(served.port, "/read?placed=yes", npy(IMAGES), **NPY)) == CODES


def test_stopping_answers_what_is_being_read():
    held = Held()
    with serving(held) as where, serving_pool([where], NETWORK) as served:
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(
                ask(served.port, "/read?placed=yes", npy(IMAGES[:3]), **NPY)
            )
        )
        asking.start()
        assert held.came.wait(20)
        stopping = threading.Thread(target=served.stop)
        stopping.start()
        time.sleep(0.3)
        held.released.set()
        stopping.join()
        asking.join()
        assert read_codes(answers[0]) == CODES[:3]
        with pytest.raises(ConnectionRefusedError):
            ask(served.port, "/health")


def test_figures_for_prometheus(service):
    ask(service.port, "/read?placed=yes", npy(IMAGES), **NPY)
    ask(service.port, "/read?as=page", b"", method="POST", **PNG)
    status, headers, text = ask(service.port, "/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    figures = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if line[0] != "#")
    where = service.pool.statistics[0].where
    expected = {
        'stepnet_requests_total{status="200"}': 1,
        'stepnet_requests_total{status="422"}': 1,
        "stepnet_request_seconds_count": 2,
        "stepnet_requests_now": 0,
        "stepnet_images_waiting": 0,
        f'stepnet_board_up{{board="{where}"}}': 1,
        f'stepnet_board_images_total{{board="{where}"}}': len(IMAGES),
        f'stepnet_board_failures_total{{board="{where}"}}': 0,
    }
    assert {name: float(figures[name]) for name in expected} == expected
    assert float(figures[f'stepnet_board_busy_seconds_total{{board="{where}"}}']) > 0


def test_boards_of_the_same_name_are_told_apart():
    with (
        serving(Peer()) as where,
        serving_pool([where, where], NETWORK, come_back=True) as served,
    ):
        text = ask(served.port, "/metrics")[2].decode()
        assert f'stepnet_board_up{{board="{where}"}}' in text
        assert f'stepnet_board_up{{board="{where}#2"}}' in text


def test_answers_are_as_described(service):
    document = ask(service.port, "/openapi.json")[2]
    validate(document)
    answers = {
        "Readings": ask(service.port, "/read?placed=yes", npy(IMAGES), **NPY),
        "Boards": ask(service.port, "/boards"),
        "Health": ask(service.port, "/health"),
        "Error": ask(service.port, "/read", b"", **PNG),
    }
    for name, (_, _, told) in answers.items():
        schema(service.port, name).validate(told)
    assert not schema(service.port, "Readings").is_valid({"readings": [{"code": 300}]})
    for path in document["paths"]:
        assert ask(service.port, path, method="OPTIONS")[0] == 405  # there is such a path


def test_the_description_of_a_batch_says_how_many(service):
    schemas = ask(service.port, "/openapi.json")[2]["components"]["schemas"]
    assert schemas["Batch"]["properties"]["pictures"]["maxItems"] == Limits().most_batch


def test_a_token_is_asked_for():
    with (
        serving(Peer()) as where,
        serving_pool([where], NETWORK, public=True, token="secret") as served,
    ):
        assert ask(served.port, "/boards")[0] == 401
        assert ask(served.port, "/boards", authorization="Bearer secret")[0] == 200
        assert ask(served.port, "/health")[0] == 200
