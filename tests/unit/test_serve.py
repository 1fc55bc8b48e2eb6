"""The service with a system that answers at once, slowly, or wrongly: routes, limits, the key, the queue, the log."""

import asyncio
import base64
import io
import json
import logging
import struct
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from gmner.errors import GmnerError, TextError
from gmner.serve.app import BODY_BYTES, TEXT_CHARACTERS, JSONLines, ServiceSettings, create_app
from gmner.serve.batcher import Batcher, QueueFullError
from gmner.systems.cascade import Cascade
from gmner.systems.system import System
from gmner.types import Entity, Example, Prediction


@dataclass
class Echo(System):
    """Finds the first word of a text; refuses "bad"; waits for `gate` if it is given."""

    name: str = "echo"
    gate: threading.Event | None = None
    sizes: list[int] = field(default_factory=list)

    def attempt(self, examples: Sequence[Example]) -> list[Prediction | GmnerError]:
        if self.gate is not None:
            self.gate.wait(10)
        if any("crash" in example.text for example in examples):
            raise ZeroDivisionError("a fault")
        self.sizes.append(len(examples))
        cascade = Cascade("echo", ())  # it opens the pictures
        return [self._find(result) for result in cascade.attempt(examples)]

    def _find(self, result: Prediction | GmnerError) -> Prediction | GmnerError:
        if isinstance(result, GmnerError):
            return result
        if "bad" in result.text:
            return TextError("bad", allowed="good", todo="mend it")
        word = result.text.split()[0]
        return Prediction(
            example=result.example, entities=(Entity(word, "PER", 0, len(word)),), image_size=result.image_size
        )


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Echo()), raise_server_exceptions=False) as client:
        yield client


def png(width: int = 30, height: int = 20) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(buffer, "PNG")
    return buffer.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_one_post_as_json_and_as_a_form_gives_the_same(client: TestClient) -> None:
    sent = client.post("/v1/predict", json={"posts": [{"id": "7", "text": "Ada sings", "image": encoded(png())}]})
    assert sent.status_code == 200, sent.text
    [row] = sent.json()["posts"]
    assert (row["id"], row["image_size"], row["entities"][0]["text"]) == ("7", [30, 20], "Ada")
    form = client.post("/v1/predict/form", data={"id": "7", "text": "Ada sings"}, files={"image": ("a.png", png())})
    assert form.json() == sent.json()
    prefixed = {"posts": [{"id": "7", "text": "Ada sings", "image": "data:image/png;base64," + encoded(png())}]}
    assert client.post("/v1/predict", json=prefixed).json() == sent.json()


def test_of_many_posts_each_has_its_result_in_its_place(client: TestClient) -> None:
    texts = ["one", "bad", "three"]
    rows = client.post("/v1/predict", json={"posts": [{"id": text, "text": text} for text in texts]}).json()["posts"]
    assert [row["id"] for row in rows] == texts
    assert [row.get("error", {}).get("kind") for row in rows] == [None, "TextError", None]


@pytest.mark.parametrize(
    ("post", "message"),
    [
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


def test_forms_that_are_none(client: TestClient) -> None:
    assert client.post("/v1/predict/form", data={"name": "Ada"}).status_code == 422
    assert client.post("/v1/predict/form", data={"text": "Ada", "image": "words"}).status_code == 422
    assert client.post("/v1/predict/form", data={"text": "bad"}).status_code == 422
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/predict/form", content=b"--y\r\nrubbish", headers=broken).status_code in (400, 422)


def test_a_body_that_is_too_long_is_refused_at_once(client: TestClient) -> None:
    begun = time.monotonic()
    stated = client.post("/v1/predict", content=b"{}", headers={"content-length": str(BODY_BYTES + 1)})
    assert stated.status_code == 413 and time.monotonic() - begun < 0.1

    def endless() -> Iterator[bytes]:
        for _ in range(BODY_BYTES // (1 << 20) + 2):
            yield b" " * (1 << 20)

    streamed = client.post("/v1/predict", content=endless(), headers={"content-type": "application/json"})
    assert streamed.status_code == 413


def test_a_picture_past_the_caps_is_refused_by_its_header(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("a pixel was decoded")

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    as_json = {"posts": [{"text": "Ada", "image": base64.b64encode(bomb).decode()}]}
    for refused in (
        client.post("/v1/predict", json=as_json),
        client.post("/v1/predict/form", data={"text": "Ada"}, files={"image": ("a.png", bomb)}),
    ):
        assert refused.status_code == 422
        assert "30,000 pixels wide" in refused.json()["error"]["message"]


def test_the_key_guards_every_route() -> None:
    with TestClient(create_app(Echo(), ServiceSettings(api_key="s3cret"))) as client:
        routes = ["/", "/v1/systems", "/healthz", "/readyz", "/metrics", "/openapi.json", "/page/index.html", "/none"]
        assert {client.get(route).status_code for route in routes} == {401}
        assert client.post("/v1/predict", json={"posts": [{"text": "Ada"}]}).status_code == 401
        assert client.get("/healthz", headers={"X-API-Key": "s3cret"}).status_code == 200
        assert client.get("/healthz", headers={"Authorization": "Bearer s3cret"}).status_code == 200
        assert client.get("/healthz", headers={"Authorization": "Bearer s3cret!"}).status_code == 401


def test_a_fault_is_a_500_and_the_service_goes_on(client: TestClient) -> None:
    assert client.post("/v1/predict", json={"posts": [{"text": "crash"}]}).status_code == 500
    assert client.post("/v1/predict", json={"posts": [{"text": "Ada"}]}).status_code == 200


def test_what_the_service_says_of_itself(client: TestClient) -> None:
    client.post("/v1/predict", json={"posts": [{"text": "Ada"}, {"text": "bad"}]})
    assert client.get("/v1/systems").json()["serving"] == "echo"
    assert client.get("/healthz").json() == {"status": "ok"} and client.get("/readyz").status_code == 200
    counted = client.get("/metrics").text
    assert 'gmner_posts_total{result="ok"} 1.0' in counted and 'gmner_posts_total{result="error"} 1.0' in counted
    assert 'gmner_requests_total{route="/v1/predict",status="200"} 1.0' in counted
    assert {"/v1/predict", "/v1/predict/form", "/v1/systems"} <= client.get("/openapi.json").json()["paths"].keys()
    assert client.get("/nothing").json()["error"]["kind"] == "route"
    assert client.get("/v1/predict").status_code == 405


def test_the_log_has_no_word_of_the_posts(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gmner.serve"):
        client.post("/v1/predict?key=Zanzibar", json={"posts": [{"id": "Zanzibar", "text": "Zanzibar bad"}]})
    lines = [JSONLines().format(record) for record in caplog.records if record.name == "gmner.serve"]
    assert lines and "Zanzibar" not in "".join(lines)
    facts = json.loads(lines[-1])
    assert (facts["event"], facts["route"], facts["status"]) == ("request", "/v1/predict", 422)


def test_posts_of_many_requests_go_together_and_none_is_lost() -> None:
    gate = threading.Event()
    system = Echo(gate=gate)

    async def ask() -> list[httpx.Response]:
        app = create_app(system, ServiceSettings(batch_size=4, queue=8))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
        ):
            posts = [client.post("/v1/predict", json={"posts": [{"id": f"{n}", "text": "Ada"}]}) for n in range(12)]
            asked = [asyncio.ensure_future(posts[0])]
            await asyncio.sleep(0.2)  # it is under way; of the others eight wait, and three are too many
            asked += map(asyncio.ensure_future, posts[1:])
            await asyncio.sleep(0.2)
            gate.set()
            return await asyncio.gather(*asked)

    answers = asyncio.run(ask())
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 9 and statuses.count(429) == 3
    assert all(a.json()["posts"][0]["id"] == f"{n}" for n, a in enumerate(answers) if a.status_code == 200)
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 429)
    assert sorted(system.sizes) == [1, 4, 4]


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
