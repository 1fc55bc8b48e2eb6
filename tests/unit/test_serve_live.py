"""The service as a process of its own, over sockets: more than it can do, everything that clients do wrong, its end."""

import asyncio
import json
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.serving import Serving, png, serving
from tests.traffic import bad, post

from gmner.errors import GmnerError
from gmner.serve.client import Client, PostError, ServiceError
from gmner.types import Example, Prediction

pytestmark = pytest.mark.sockets


@pytest.fixture
def service() -> Iterator[Serving]:
    with serving("-m", "tests.serving", "0.05") as service:
        yield service


def ask(service: Serving, word: str) -> Prediction | GmnerError:
    [result] = Client(service.url, timeout=30).attempt([Example(id=word, text=f"{word} sings", image=png())])
    return result


def test_more_than_it_can_do_is_refused_and_the_rest_is_right(service: Serving) -> None:
    async def flood() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
            posts = [{"posts": [{"id": f"{n}", "text": f"word{n} sings"}]} for n in range(60)]
            return await asyncio.gather(*(client.post("/v1/predict", json=post) for post in posts))

    answers = asyncio.run(flood())
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() == {200, 429} and statuses[200] >= 8  # the queue holds as many
    for number, answer in enumerate(answers):
        if answer.status_code == 200:
            [row] = answer.json()["posts"]
            assert (row["id"], row["entities"][0]["text"]) == (f"{number}", f"word{number}")
    assert isinstance(ask(service, "crash"), PostError) and isinstance(ask(service, "Ada"), Prediction)


def test_whatever_clients_do_the_others_are_answered(service: Serving) -> None:
    kinds = bad()

    async def mix() -> dict[str, int]:
        async with httpx.AsyncClient(base_url=service.url, timeout=30) as client:
            sent = {name: asyncio.ensure_future(kind.send(client)) for name, kind in kinds.items()}
            good = [await post(f"word{n}", png())(client) for n in range(5)]
            assert good == [200] * 5
            return {name: await status for name, status in sent.items()}

    statuses = asyncio.run(mix())
    assert {name: status for name, status in statuses.items() if status not in kinds[name].right} == {}
    assert isinstance(ask(service, "Ada"), Prediction)
    assert service.end() < 0 and not any('"level": "ERROR"' in line for line in service.log)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n{}", "not as this service does"),
        (b"HTTP/1.0 200 OK\r\n\r\n[1]", "not as this service does"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "can not be reached"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n{}", "can not be reached"),
        (b"nothing of HTTP\r\n\r\n", "can not be reached"),
    ],
)
def test_a_server_that_is_none_of_ours_is_told(answer: bytes, told: str) -> None:
    class Answers(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Answers) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.handle_request)
        with pytest.raises(ServiceError, match=told):
            Client(f"http://127.0.0.1:{server.server_address[1]}").attempt([Example(text="Ada")])


def taken(client: httpx.Client) -> float:
    """How many posts are under way."""
    values = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    return float(values["gmner_waiting_posts"]) + float(values["gmner_batch_posts_sum"])


def test_at_its_end_what_is_under_way_is_answered_and_nothing_new_is_taken(tmp_path: Path) -> None:
    gate = tmp_path / "go"
    with serving("-m", "tests.serving", "0", str(gate)) as service, ThreadPoolExecutor() as pool:
        under_way = [pool.submit(ask, service, word) for word in ("Ada", "Bo")]
        with httpx.Client(base_url=service.url) as client:
            while client.get("/metrics").text.count("gmner_batch_posts_count 1.0") == 0:
                time.sleep(0.02)
            ended = threading.Thread(target=service.end)
            ended.start()
            while client.get("/readyz").status_code == 200:
                time.sleep(0.02)
            assert client.post("/v1/predict", json={"posts": [{"text": "Cy"}]}).status_code == 503
        with pytest.raises(ServiceError, match="503"):
            ask(service, "Di")  # on a connection of its own
        gate.touch()
        assert [getattr(each.result(), "entities", [None])[0].text for each in under_way] == ["Ada", "Bo"]
        ended.join(30)
        assert service.process.poll() is not None
        with pytest.raises(ServiceError, match="can not be reached"):
            ask(service, "Ed")
    assert [json.loads(line)["status"] for line in service.log if '"route": "/v1/predict"' in line].count(200) == 2
