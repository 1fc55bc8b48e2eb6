"""The service with a system that answers at once, slowly, or wrongly: routes, limits, the key, the queue, the log."""

import asyncio
import json
import logging
import struct
import threading
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import httpx
import pytest
from fastapi.testclient import TestClient
from tests.serving import Echo, encoded, png

from gmner.errors import GmnerError
from gmner.image import MAX_BYTES
from gmner.serve.app import create_app
from gmner.serve.batcher import Batcher, QueueFullError
from gmner.serve.client import _post
from gmner.serve.guard import Drain, JSONLines
from gmner.serve.settings import BODY_BYTES, FORM_BYTES, TEXT_CHARACTERS, ServiceSettings
from gmner.types import LETTERING, Box, Candidate, Example, Prediction

T = TypeVar("T")


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Echo()), raise_server_exceptions=False) as client:
        yield client


def test_one_post_as_json_and_as_a_form_gives_the_same(client: TestClient) -> None:
    sent = client.post("/v1/predict", json={"posts": [{"id": "7", "text": "Ada sings", "image": encoded(png())}]})
    assert sent.status_code == 200, sent.text
    [row] = sent.json()["posts"]
    assert (row["id"], row["image_size"], row["entities"][0]["text"]) == ("7", [30, 20], "Ada")
    form = client.post("/v1/predict", data={"id": "7", "text": "Ada sings"}, files={"image": ("a.png", png())})
    assert form.json() == sent.json()
    prefixed = {"posts": [{"id": "7", "text": "Ada sings", "image": "data:image/png;base64," + encoded(png())}]}
    assert client.post("/v1/predict", json=prefixed).json() == sent.json()


def test_of_many_posts_each_has_its_result_in_its_place(client: TestClient) -> None:
    texts = ["one", "bad", "three"]
    rows = client.post("/v1/predict", json={"posts": [{"id": text, "text": text} for text in texts]}).json()["posts"]
    assert [row["id"] for row in rows] == texts
    assert [row.get("error", {}).get("kind") for row in rows] == [None, "TextError", None]


def test_what_systems_read_beside_text_and_picture_reaches_them_as_the_client_sends_it() -> None:
    seen: list[Example] = []

    class Keeps(Echo):
        def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
            seen.extend(examples)
            return super().attempt(examples)

    post = Example(
        id="7",
        text="Ada  sings",
        tokens=("Ada", "sings"),
        caption="a woman",
        description="A woman on a stage.",
        knowledge="Ada is a singer.",
        candidates=(Candidate(Box(1, 2, 3.5, 4), "person", 0.5), Candidate(Box(0, 0, 9, 9), LETTERING, 1.0, "ADA")),
    )
    with TestClient(create_app(Keeps())) as client:
        assert client.post("/v1/predict", json={"posts": [_post(post)]}).status_code == 200
        form = {name: value for name, value in _post(post).items() if isinstance(value, str)}
        assert client.post("/v1/predict", data=form, files={"image": ("a.png", png())}).status_code == 200
        assert client.post("/v1/predict", data={**form, "tokens": "Ada"}, files={"image": png()}).status_code == 422
    assert seen[0] == post
    assert seen[1] == replace(post, tokens=None, candidates=None, image=png())


@pytest.mark.parametrize(
    ("post", "message"),
    [
        ({"text": "Ada", "tokens": ["Bo"]}, "Bo"),
        ({"text": "Ada", "candidates": [{"box": [3, 0, 1, 4], "kind": "x", "score": 1}]}, "x1 < x2"),
        ({"text": "Ada", "knowledge": "x" * (TEXT_CHARACTERS + 1)}, "characters"),
        ({"text": "bad"}, "mend it"),
        ({"text": ""}, "the text"),
        ({"text": "Ada", "image": "%%%"}, "not base64"),
        ({"text": "Ada", "image": encoded(b"<svg/>")}, "SVG"),
        ({"text": "Ada", "image": encoded(png()[:-20])}, "damaged"),
        ({"text": "Ada", "image": encoded(b"")}, "empty"),
        ({"text": "Ada", "image_url": "https://example.org/a.png"}, "fetches no pictures"),
        ({"text": "a" * (TEXT_CHARACTERS + 1)}, "20,001 characters"),
        ({}, "body.posts.0.text"),
        ({"text": 5}, "body.posts.0.text"),
        ({"text": "Ada", "colour": "red"}, "body.posts.0.colour"),
    ],
)
def test_a_post_that_can_not_be_read_is_told_why(client: TestClient, post: dict[str, Any], message: str) -> None:
    refused = client.post("/v1/predict", json={"posts": [post]})
    assert refused.status_code == 422
    assert message in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"posts": []}', b'{"posts": [{"text": "\\ud800"}]}', b'{"posts": 3}', b"\xff\xfe", b"NaN"],
)
def test_a_body_that_is_no_request_is_told_so(client: TestClient, body: bytes) -> None:
    refused = client.post("/v1/predict", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422 and refused.json()["error"]["message"]


def parts(*fields: tuple[str, str | bytes]) -> list[tuple[str, Any]]:
    """The parts of a form as httpx takes them: texts, and files as bytes."""
    return [(name, (None, value) if isinstance(value, str) else ("a.png", value)) for name, value in fields]


def test_many_posts_as_a_form_each_with_its_own_picture(client: TestClient) -> None:
    form = parts(
        ("id", "1"),  # what stands before the first text is of the first post
        ("text", "one"),
        ("image", png(30, 20)),
        ("text", "two"),
        ("text", "three"),
        ("image", png(8, 9)),
        ("id", "3"),
        ("text", "bad"),
    )
    rows = client.post("/v1/predict", files=form).json()["posts"]
    found = [
        (row.get("id", ""), row.get("text"), row.get("image_size"), row.get("error", {}).get("kind")) for row in rows
    ]
    assert found == [
        ("1", "one", [30, 20], None),
        ("", "two", None, None),
        ("3", "three", [8, 9], None),
        ("", None, None, "TextError"),
    ]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (parts(("name", "Ada")), "body.posts.0.text"),
        (parts(("text", "Ada"), ("colour", "red")), "body.posts.0.colour"),
        (parts(("text", "Ada"), ("image", "words")), "`image` is a file"),
        (parts(("text", b"Ada")), "`image` is a file"),
        (parts(("text", "Ada"), ("image", png()), ("image", png())), "two fields 'image'"),
        (parts(("text", "Ada"), ("id", "1"), ("id", "2")), "two fields 'id'"),
        (parts(("text", "Ada"), ("image_url", "https://example.org/a.png")), "fetches no pictures"),
        (parts(*[("text", "Ada")] * 33), "at most 32"),
        (parts(("text", "bad")), "mend it"),
    ],
)
def test_forms_that_are_none(client: TestClient, form: list[tuple[str, Any]], message: str) -> None:
    refused = client.post("/v1/predict", files=form)
    assert refused.status_code == 422 and message in refused.json()["error"]["message"]


def test_a_body_of_another_kind_is_refused(client: TestClient) -> None:
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/predict", content=b"--y\r\nrubbish", headers=broken).status_code == 400
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        refused = client.post("/v1/predict", content=b'{"posts": [{"text": "Ada"}]}', headers={"content-type": kind})
        assert refused.status_code == 415 and "application/json" in refused.json()["error"]["message"]


def test_a_body_that_is_too_long_is_refused_at_once(client: TestClient) -> None:
    begun = time.monotonic()
    stated = client.post("/v1/predict", content=b"{}", headers={"content-length": str(BODY_BYTES + 1)})
    assert stated.status_code == 413 and time.monotonic() - begun < 0.1

    def endless() -> Iterator[bytes]:
        for _ in range(BODY_BYTES // (1 << 20) + 2):
            yield b" " * (1 << 20)

    for kind in ("application/json", "multipart/form-data; boundary=x"):
        streamed = client.post("/v1/predict", content=endless(), headers={"content-type": kind})
        assert streamed.status_code == 413


def test_a_form_is_as_long_as_a_picture_and_a_megabyte(client: TestClient) -> None:
    """Where the same picture in base64 is a third longer."""
    picture = png() + bytes(MAX_BYTES - len(png()))
    assert client.post("/v1/predict", data={"text": "Ada"}, files={"image": picture}).status_code == 200
    begun = time.monotonic()
    form = {"content-type": "multipart/form-data; boundary=x", "content-length": str(FORM_BYTES + 1)}
    stated = client.post("/v1/predict", content=b"", headers=form)
    assert stated.status_code == 413 and f"{FORM_BYTES:,} bytes" in stated.text and time.monotonic() - begun < 0.1


def test_a_picture_past_the_caps_is_refused_by_its_header(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("a pixel was decoded")

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    as_json = {"posts": [{"text": "Ada", "image": encoded(bomb)}]}
    for refused in (
        client.post("/v1/predict", json=as_json),
        client.post("/v1/predict", data={"text": "Ada"}, files={"image": ("a.png", bomb)}),
    ):
        assert refused.status_code == 422
        assert "30,000 pixels wide" in refused.json()["error"]["message"]


def test_a_fault_is_a_500_and_the_service_goes_on(client: TestClient) -> None:
    failed = client.post("/v1/predict", json={"posts": [{"text": "crash"}]})
    assert failed.status_code == 500 and failed.json()["error"]["kind"] == "fault"
    assert client.post("/v1/predict", json={"posts": [{"text": "Ada"}]}).status_code == 200
    posts = [{"id": text, "text": text} for text in ("Ada", "crash", "Bo")]
    rows = client.post("/v1/predict", json={"posts": posts}).json()["posts"]
    assert [row.get("error", {}).get("kind") for row in rows] == [None, "fault", None]


def test_a_fault_in_a_batch_of_many_requests_is_that_of_one(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    system = Echo(gate=gate)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        asked = []
        for text, counted in (
            ("first", "gmner_batch_posts_count 1.0"),  # under way; the others wait
            ("Ada", "gmner_waiting_posts 1.0"),
            ("crash", "gmner_waiting_posts 2.0"),
            ("bad", "gmner_waiting_posts 3.0"),
            ("Bo", "gmner_waiting_posts 4.0"),
        ):
            post = client.post("/v1/predict", json={"posts": [{"id": text, "text": text}]})
            asked.append(asyncio.ensure_future(post))
            async with asyncio.timeout(5):
                while counted not in (await client.get("/metrics")).text:
                    await asyncio.sleep(0.01)
        gate.set()
        return await asyncio.gather(*asked)

    answers = asyncio.run(talk(system, ServiceSettings(batch_size=4), ask))
    assert [answer.status_code for answer in answers] == [200, 200, 500, 422, 200]
    assert [answer.json()["posts"][0]["id"] for answer in answers if answer.status_code == 200] == [
        "first",
        "Ada",
        "Bo",
    ]
    assert [record.getMessage() for record in caplog.records].count("the system failed") == 2  # together, and alone


def test_what_the_service_says_of_itself(client: TestClient) -> None:
    client.post("/v1/predict", json={"posts": [{"text": "Ada"}, {"text": "bad"}]})
    assert client.get("/v1/systems").json()["serving"] == "echo"
    assert client.get("/healthz").json() == {"status": "ok"} and client.get("/readyz").status_code == 200
    counted = client.get("/metrics").text
    assert 'gmner_posts_total{result="ok"} 1.0' in counted and 'gmner_posts_total{result="error"} 1.0' in counted
    assert 'gmner_requests_total{route="/v1/predict",status="200"} 1.0' in counted
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/predict", "/v1/systems", "/healthz", "/readyz", "/metrics"} == paths.keys()
    bodies = paths["/v1/predict"]["post"]["requestBody"]["content"]
    assert {"application/json", "multipart/form-data"} == bodies.keys()
    assert client.get("/nothing").json()["error"]["kind"] == "route"
    assert client.get("/v1/predict").status_code == 405


def test_the_log_has_no_word_of_the_posts(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gmner.serve"):
        client.post("/v1/predict?key=Zanzibar", json={"posts": [{"id": "Zanzibar", "text": "Zanzibar bad"}]})
        client.post("/v1/predict", json={"posts": [{"text": "Zanzibar crash"}]})
    lines = [JSONLines().format(record) for record in caplog.records if record.name == "gmner.serve"]
    assert lines and "Zanzibar" not in "".join(lines)
    refused, fault, failed = map(json.loads, lines)
    assert (refused["event"], refused["route"], refused["status"]) == ("request", "/v1/predict", 422)
    assert fault["fault"] == "ZeroDivisionError" and fault["at"][-1].endswith("attempt") and failed["status"] == 500


async def talk(system: Echo, settings: ServiceSettings, ask: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    """What `ask` gets from a service that runs in the same loop."""
    app = create_app(system, settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        return await ask(client)


def test_posts_of_many_requests_go_together_and_none_is_lost() -> None:
    gate = threading.Event()
    system = Echo(gate=gate)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        posts = [client.post("/v1/predict", json={"posts": [{"id": f"{n}", "text": "Ada"}]}) for n in range(12)]
        asked = [asyncio.ensure_future(posts[0])]
        await asyncio.sleep(0.2)  # it is under way; of the others eight wait, and three are too many
        asked += map(asyncio.ensure_future, posts[1:])
        await asyncio.sleep(0.2)
        gate.set()
        return await asyncio.gather(*asked)

    answers = asyncio.run(talk(system, ServiceSettings(batch_size=4, queue=8), ask))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 9 and statuses.count(429) == 3
    assert all(a.json()["posts"][0]["id"] == f"{n}" for n, a in enumerate(answers) if a.status_code == 200)
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 429)
    assert sorted(system.sizes) == [1, 4, 4]


def test_a_request_of_more_posts_than_the_queue_holds_is_told_the_limit() -> None:
    with TestClient(create_app(Echo(), ServiceSettings(queue=3))) as client:
        refused = client.post("/v1/predict", json={"posts": [{"text": "Ada"}] * 4})
        assert refused.status_code == 422 and "4 posts" in refused.text and "at most 3" in refused.text
        assert client.post("/v1/predict", json={"posts": [{"text": "Ada"}] * 3}).status_code == 200


def test_a_picture_that_takes_too_long_to_fetch_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def fetch(url: str) -> bytes:
        gate.wait(10)
        return png()

    monkeypatch.setattr("gmner.serve.app.fetch", fetch)
    post = {"text": "Ada", "image_url": "https://example.org/a.png"}
    system = Echo()
    with TestClient(create_app(system, ServiceSettings(timeout=0.2, urls=True))) as client:
        assert client.post("/v1/predict", json={"posts": [post]}).status_code == 503
        gate.set()
        [row] = client.post("/v1/predict", json={"posts": [post]}).json()["posts"]
        assert row["image_size"] == [30, 20] and system.sizes == [1]


def test_a_body_that_does_not_come_in_time_is_given_up() -> None:
    async def never(beginning: bytes) -> AsyncIterator[bytes]:
        yield beginning
        await asyncio.sleep(10)

    async def ask(client: httpx.AsyncClient) -> list[int]:
        return [
            (await client.post("/v1/predict", content=never(begun), headers={"content-type": kind})).status_code
            for begun, kind in ((b"{", "application/json"), (b"--x", "multipart/form-data; boundary=x"))
        ]

    assert asyncio.run(talk(Echo(), ServiceSettings(timeout=0.1), ask)) == [408, 408]


def test_bodies_past_what_there_is_room_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmner.serve.guard.HELD_BYTES", 1000)
    gate = threading.Event()

    async def ask(client: httpx.AsyncClient) -> list[int]:
        async def post(text: str) -> int:
            return (await client.post("/v1/predict", json={"posts": [{"text": text}]})).status_code

        first = asyncio.ensure_future(post("a" * 600))
        await asyncio.sleep(0.1)
        statuses = [await post("b" * 600)]
        gate.set()
        return [*statuses, await first, await post("c" * 600)]

    assert asyncio.run(talk(Echo(gate=gate), ServiceSettings(), ask)) == [429, 200, 200]


@pytest.mark.parametrize("kind", [b"application/json", b"multipart/form-data; boundary=x"])
@pytest.mark.parametrize("sent", [b'{"posts": [{"te', b'{"posts": [{"text": "Ada"}]}'])
def test_a_client_that_leaves_is_no_fault_and_costs_nothing(
    kind: bytes, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    gate, answered = threading.Event(), list[Any]()
    system = Echo(gate=gate)
    whole = sent.endswith(b"}")
    form = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nAda' + b"\r\n--x--\r\n" * whole
    as_json = kind.endswith(b"json")
    messages: list[Any] = [{"type": "http.request", "body": sent if as_json else form, "more_body": not whole}]

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answered.append(message)

    async def run() -> None:
        app = create_app(system)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/predict",
            "raw_path": b"/v1/predict",
            "query_string": b"",
            "headers": [(b"content-type", kind)],
            "scheme": "http",
            "server": ("test", 80),
        }
        async with app.router.lifespan_context(app):
            blocking = asyncio.ensure_future(app({**scope}, receive_first, send_nowhere))
            await asyncio.sleep(0.05)
            await app(scope, receive, send)
            gate.set()
            await blocking

    firsts: list[Any] = [{"type": "http.request", "body": b'{"posts": [{"text": "first"}]}', "more_body": False}]
    if not as_json:
        firsts[0]["body"] = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nfirst\r\n--x--\r\n'

    async def receive_first() -> Any:
        if not firsts:
            await asyncio.sleep(10)
        return firsts.pop(0)

    async def send_nowhere(message: Any) -> None:
        pass

    with caplog.at_level(logging.INFO, "gmner.serve"):
        asyncio.run(run())
    assert [record.__dict__["facts"]["status"] for record in caplog.records if "facts" in record.__dict__] == [499, 200]
    assert answered[0]["status"] == 499 and system.sizes == [1]


def test_to_the_end_it_says_that_it_ends() -> None:
    drain = Drain()
    with TestClient(create_app(Echo(), drain=drain)) as client:
        assert client.get("/readyz").status_code == 200 and not drain.over
        drain.begun = True
        assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
        refused = client.post("/v1/predict", json={"posts": [{"text": "Ada"}]})
        assert refused.status_code == 503 and refused.json()["error"]["kind"] == "stopping"
        assert client.get("/").status_code == 503 and client.get("/metrics").status_code == 200
        assert drain.over


def test_a_request_that_takes_too_long_is_given_up() -> None:
    gate = threading.Event()
    with TestClient(create_app(Echo(gate=gate), ServiceSettings(timeout=0.2))) as client:
        assert client.post("/v1/predict", json={"posts": [{"text": "Ada"}]}).status_code == 503
        gate.set()
        assert client.post("/v1/predict", json={"posts": [{"text": "Ada"}]}).status_code == 200


def test_a_request_that_nobody_waits_for_is_not_computed() -> None:
    seen: list[int] = []

    async def run() -> None:
        batcher = Batcher(lambda examples: [nothing_in(e) for e in examples], batch_size=8, capacity=4)
        batcher.seen = seen.append
        left = asyncio.ensure_future(batcher.submit([Example(text="left")] * 3))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError):
            await batcher.submit([Example(text="Ada")] * 2)
        left.cancel()
        await asyncio.sleep(0)
        stays = asyncio.ensure_future(batcher.submit([Example(text="Ada")] * 2))
        worker = asyncio.ensure_future(batcher.run())
        assert len(await stays) == 2
        worker.cancel()

    def nothing_in(example: Example) -> Prediction:
        return Prediction(example=example)

    asyncio.run(run())
    assert seen == [2]
