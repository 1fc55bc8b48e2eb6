"""The LLM client against a real HTTP server that misbehaves, and its cache against kills, rivals and damage."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gmner
from gmner.batch.share import Share
from gmner.batch.workers import in_processes
from gmner.data.rows import GivenRow
from gmner.errors import ConfigError, DataError, LLMError, MissingPackageError, TextError
from gmner.llm import (
    LLM,
    Answer,
    LLMSettings,
    Progress,
    Replay,
    Request,
    export_answers,
    import_answers,
    progress_bar,
    provider,
)
from gmner.llm.cache import AnswerCache, Record, read_answers
from gmner.llm.client import _retry_after
from gmner.llm.request import asked, fingerprint

pytestmark = [pytest.mark.slow, pytest.mark.sockets]

openai = pytest.importorskip("openai")

PASSING = ("429", "500", "hang", "drip", "cut", "invalid", "html", "blank", "null", "no choices", "surrogate", "void")
"""Faults that another attempt may not meet again."""


class Server(ThreadingHTTPServer):
    """A chat endpoint. `faults[prompt]` lists what it does instead of answering, attempt by attempt."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: dict[str, list[str]] = {}
        self.asked: list[tuple[float, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.delay = 0.0
        self.retry_after = "0.01"
        self.usage: dict[str, int] | None = {"prompt_tokens": 10, "completion_tokens": 5}
        self.open, self.most_open = 0, 0
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def counts(self) -> Counter[str]:
        return Counter(prompt for _, prompt in self.asked)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the game."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        content = body["messages"][-1]["content"]
        prompt = content if isinstance(content, str) else content[0]["text"]
        with server.lock:
            server.asked.append((time.monotonic(), prompt))
            server.bodies.append(body)
            server.keys.add(self.headers["authorization"])
            server.open += 1
            server.most_open = max(server.most_open, server.open)
            faults = server.faults.get(prompt, [])
            fault = faults.pop(0) if faults else ""
        try:
            server.closing.wait(0 if fault else server.delay)
            self._reply(fault, prompt)
        finally:
            with server.lock:
                server.open -= 1

    def _reply(self, fault: str, prompt: str) -> None:
        texts: dict[str, Any] = {"blank": " \n", "null": None, "surrogate": "half \ud800"}
        message = {"role": "assistant", "content": texts.get(fault, f"answer to {prompt}")}
        choices = [{"index": 0, "message": message, "finish_reason": "length" if fault == "length" else "stop"}]
        completion = {"choices": [] if fault == "no choices" else choices, "usage": self.server.usage}
        whole = json.dumps(completion).encode()
        if fault.isdigit():
            self._send(int(fault), b'{"error": {"message": "no: secret-key", "code": "some"}}')
        elif fault == "quota":
            self._send(429, b'{"error": {"message": "pay", "code": "insufficient_quota"}}')
        elif fault == "hang":
            self.server.closing.wait(20)
        elif fault == "drip":
            self._head(200, len(whole))
            for byte in whole:
                self.wfile.write(bytes([byte]))
                if self.server.closing.wait(0.1):
                    return
        elif fault == "cut":
            self._head(200, len(whole))
            self.wfile.write(whole[:-10])
            self.close_connection = True
        elif fault in ("invalid", "html", "void"):
            kind = "text/html" if fault == "html" else "application/json"
            self._send(200, {"invalid": whole[:-10], "html": b"<p>gateway</p>", "void": b""}[fault], kind)
        else:
            self._send(200, whole)

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self._head(status, len(body), kind)
        self.wfile.write(body)

    def _head(self, status: int, length: int, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(length))
        if status in (429, 503):
            self.send_header("retry-after", self.server.retry_after)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.closing.set()
        running.shutdown()
        thread.join()


def configure(server: Server | None, folder: Path, **changes: Any) -> LLMSettings:
    url = server.url if server else "http://127.0.0.1:9/v1"
    base = {"model": "m", "base_url": url, "cache": folder / "answers.sqlite", "backoff": 0.01, "timeout": 5.0}
    return LLMSettings(**{**base, **changes})


def prompts(*texts: str) -> list[Request]:
    return [Request(text, id=text) for text in texts]


def stored(settings: LLMSettings) -> dict[str, str]:
    """What the cache holds, prompt to answer."""
    with AnswerCache(settings.cache) as cache:
        return {record.question["prompt"]: record.answer.text for record in cache}


def texts(results: list[Answer | gmner.errors.GmnerError]) -> list[str]:
    return [result.text if isinstance(result, Answer) else "error" for result in results]


def test_passing_faults_lose_no_answer(server: Server, tmp_path: Path) -> None:
    server.faults = {fault: [fault] for fault in PASSING}
    llm = LLM(configure(server, tmp_path, timeout=1.0, concurrency=len(PASSING) + 1))
    names = [*PASSING, "fine"]
    assert texts(llm.ask(prompts(*names))) == [f"answer to {name}" for name in names]
    assert stored(llm.settings) == {name: f"answer to {name}" for name in names}
    assert server.counts == {**dict.fromkeys(PASSING, 2), "fine": 1}


def test_lasting_faults_become_errors_that_name_the_sample_and_are_not_stored(server: Server, tmp_path: Path) -> None:
    server.faults = {fault: [fault] * 9 for fault in PASSING}
    llm = LLM(configure(server, tmp_path, timeout=1.0, attempts=2, concurrency=len(PASSING)))
    results = llm.ask(prompts(*PASSING, "fine"))
    assert texts(results) == ["error"] * len(PASSING) + ["answer to fine"]
    for fault, error in zip(PASSING, results, strict=False):
        assert isinstance(error, LLMError)
        assert repr(fault) in str(error)
        assert "2 attempts" in str(error)
    assert stored(llm.settings) == {"fine": "answer to fine"}
    server.faults = {}
    assert texts(llm.ask(prompts(*PASSING, "fine"))) == [f"answer to {name}" for name in (*PASSING, "fine")]
    assert server.counts == {**dict.fromkeys(PASSING, 3), "fine": 1}


def test_retry_after_holds_back_every_worker(server: Server, tmp_path: Path) -> None:
    server.faults, server.retry_after = {"a": ["429"]}, "1"
    llm = LLM(configure(server, tmp_path, concurrency=2))
    server.delay = 0.2
    assert texts(llm.ask(prompts("a", "b", "c", "d"))) == [f"answer to {name}" for name in "abcd"]
    times = [moment - server.asked[0][0] for moment, _ in server.asked]
    assert [moment for moment in times if 0.3 < moment < 1.0] == []
    assert sum(moment >= 1.0 for moment in times) == 3


def test_a_wait_that_is_too_long_stops_the_run(server: Server, tmp_path: Path) -> None:
    server.faults, server.retry_after = {"a": ["503"]}, "3600"
    results = LLM(configure(server, tmp_path, concurrency=1)).ask(prompts("a", "b"))
    assert texts(results) == ["error", "error"]
    assert "asks to wait 3600 s" in str(results[1])
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("3", 3, 3),
        ("0.5", 0.5, 0.5),
        ("-1", 0, 0),
        ("nan", 0, 0),
        ("inf", 0, 0),
        ("soon", 0, 0),
        ("", 0, 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0, 0),
    ],
)
def test_retry_after_in_all_its_forms(text: str, least: float, most: float) -> None:
    assert least <= _retry_after({"retry-after": text}) <= most


@pytest.mark.parametrize(("seconds", "least", "most"), [(900, 800, 900), (-900, 0, 0)])
def test_retry_after_as_a_date(seconds: int, least: float, most: float) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    assert least <= _retry_after({"retry-after": date}) <= most


@pytest.mark.parametrize(
    ("fault", "advice"),
    [("401", "$OPENAI_API_KEY"), ("403", "$OPENAI_API_KEY"), ("404", "name of the model"), ("quota", "account")],
)
def test_a_refusal_that_concerns_all_stops_the_run(server: Server, tmp_path: Path, fault: str, advice: str) -> None:
    names = [f"p{number}" for number in range(20)]
    server.faults = {name: [fault] for name in names[1:]}
    llm = LLM(configure(server, tmp_path, concurrency=2))
    results = llm.ask(prompts(*names))
    assert texts(results) == ["answer to p0"] + ["error"] * 19
    assert len(server.asked) <= 4
    assert advice in str(results[-1])
    assert "secret-key" not in str(results[-1])
    assert server.keys == {"Bearer secret-key"}
    assert stored(llm.settings) == {"p0": "answer to p0"}


def test_a_refusal_that_concerns_one_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    server.faults = {"too long": ["400"]}
    results = LLM(configure(server, tmp_path)).ask(prompts("too long", "b"))
    assert texts(results) == ["error", "answer to b"]
    assert server.counts == {"too long": 1, "b": 1}


def test_a_server_that_can_not_be_reached_stops_the_run(server: Server, tmp_path: Path) -> None:
    with Server() as gone:
        url = gone.url
    llm = LLM(configure(server, tmp_path, base_url=url, attempts=2, concurrency=1))
    results = llm.ask(prompts("a", "b", "c"))
    assert texts(results) == ["error"] * 3
    assert "can not be reached" in str(results[2])
    assert stored(llm.settings) == {}


def test_a_budget_of_requests_is_kept_and_the_next_run_goes_on(server: Server, tmp_path: Path) -> None:
    server.faults = {"p0": ["500"]}
    names = [f"p{number}" for number in range(10)]
    llm = LLM(configure(server, tmp_path, budget_requests=6))
    results = llm.ask(prompts(*names))
    assert len(server.asked) == 6
    answered = len(stored(llm.settings))
    assert answered >= 5
    assert texts(results).count("error") == 10 - answered
    assert "budget of 6 requests" in next(str(result) for result in results if isinstance(result, LLMError))
    assert "error" in texts(llm.ask(prompts(*names))) and len(server.asked) == 6  # the same run
    assert "error" not in texts(LLM(llm.settings).ask(prompts(*names)))
    assert len(server.asked) == 11


def test_a_budget_is_for_all_calls_of_a_run_together(server: Server, tmp_path: Path) -> None:
    """A file of posts is asked about share by share: the budget is not there anew for each."""
    llm = LLM(configure(server, tmp_path, budget_tokens=60, concurrency=1))  # of 15 for each question
    shares = [texts(llm.ask(prompts(f"a{number}", f"b{number}"))) for number in range(3)]
    assert [share.count("error") for share in shares] == [0, 0, 2] and len(server.asked) == 4


def test_a_budget_in_one_of_several_processes_is_refused(tmp_path: Path) -> None:
    make: Any = partial(LLM, LLMSettings("m", cache=tmp_path / "a.sqlite", budget_requests=6))
    never: Any = None
    with pytest.raises(ConfigError, match="use one process"):
        list(in_processes(make, [Share(never, never, [GivenRow(1, None, {})])], 2, 2))


@pytest.mark.parametrize("usage", [{"prompt_tokens": 10, "completion_tokens": 5}, None])
def test_a_budget_of_tokens_stops_the_run(server: Server, tmp_path: Path, usage: dict[str, int] | None) -> None:
    """A server that does not count is counted for: 40 characters of prompt and 50 of answer are 22 tokens."""
    server.usage = usage
    names = [f"{number:040}" for number in range(10)]
    results = LLM(configure(server, tmp_path, budget_tokens=45, concurrency=1)).ask(prompts(*names))
    assert texts(results).count("error") == 7
    assert "budget of 45 tokens" in str(results[-1])


def test_no_more_requests_are_under_way_than_allowed(server: Server, tmp_path: Path) -> None:
    server.delay = 0.02
    LLM(configure(server, tmp_path, concurrency=3)).ask(prompts(*(f"p{number}" for number in range(12))))
    assert server.most_open == 3


def test_equal_questions_are_asked_once_and_results_keep_their_order(server: Server, tmp_path: Path) -> None:
    llm = LLM(configure(server, tmp_path))
    requests = [Request("b", id="1"), Request("a", id="2"), Request("b", id="3")]
    assert texts(llm.ask(requests)) == ["answer to b", "answer to a", "answer to b"]
    assert texts(llm.ask(requests[::-1])) == ["answer to b", "answer to a", "answer to b"]
    assert server.counts == {"a": 1, "b": 1}
    assert LLM(configure(server, tmp_path)).ask([]) == []


def test_what_shapes_an_answer_makes_another_question_and_nothing_else_does(tmp_path: Path) -> None:
    def key(request: Request, **changes: Any) -> str:
        return fingerprint(asked(request, configure(None, tmp_path, **changes)))

    base = Request("p")
    different = [
        key(base),
        key(base, model="other"),
        key(base, temperature=0.5),
        key(base, max_tokens=7),
        key(base, seed=1),
        key(Request("q")),
        key(Request("p", system="s")),
        key(Request("p", images=(b"1",))),
        key(Request("p", images=(b"2",))),
    ]
    assert len(set(different)) == len(different)
    assert key(Request("p", id="7"), base_url="http://elsewhere/v1", timeout=1.0, concurrency=2) == key(base)


def test_what_is_sent(server: Server, tmp_path: Path) -> None:
    llm = LLM(configure(server, tmp_path, temperature=0.5, max_tokens=7, seed=3))
    llm.ask([Request("look", system="be brief", images=(b"\x89PNG rest", b"\xff\xd8 rest"))])
    [body] = server.bodies
    parts = body.pop("messages")[1].pop("content")
    assert body == {"model": "m", "temperature": 0.5, "max_tokens": 7, "seed": 3}
    assert parts[0] == {"type": "text", "text": "look"}
    urls = [part["image_url"]["url"] for part in parts[1:]]
    assert [url.partition(",")[0] for url in urls] == ["data:image/png;base64", "data:image/jpeg;base64"]


def test_an_answer_says_what_the_server_says(server: Server, tmp_path: Path) -> None:
    server.faults = {"long": ["length"]}
    llm = LLM(configure(server, tmp_path))
    expected = [Answer("answer to long", "m", False, 10, 5), Answer("answer to short", "m", True, 10, 5)]
    assert llm.ask(prompts("long", "short")) == expected
    assert llm.ask(prompts("long", "short")) == expected  # now from the cache


SCRIPT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from gmner.llm import LLM, LLMSettings, Request

    url, cache, first, last = sys.argv[1:]
    settings = LLMSettings("m", url, cache=Path(cache), concurrency=4)
    results = LLM(settings).ask([Request(f"p{n}") for n in range(int(first), int(last))])
    assert all(hasattr(result, "text") for result in results), results
    """
)


def start(settings: LLMSettings, first: int, last: int) -> subprocess.Popen[bytes]:
    arguments = [settings.base_url, str(settings.cache), str(first), str(last)]
    source = str(Path(gmner.__file__).parents[1])
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env={**os.environ, "PYTHONPATH": source})


def test_a_killed_run_started_again_asks_only_what_is_missing(server: Server, tmp_path: Path) -> None:
    settings, server.delay = configure(server, tmp_path), 0.05
    run = start(settings, 0, 60)
    while len(server.asked) < 20:
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.wait()
    kept = stored(settings)
    assert len(kept) >= 20 - 2 * 4  # all but what was under way
    before, server.delay = len(server.asked), 0.0
    again = start(settings, 0, 60)
    assert again.wait() == 0
    asked_again = {prompt for _, prompt in server.asked[before:]}
    assert asked_again == {f"p{number}" for number in range(60)} - kept.keys()
    assert stored(settings) == {f"p{number}": f"answer to p{number}" for number in range(60)}


def test_two_processes_share_a_new_cache(server: Server, tmp_path: Path) -> None:
    settings, server.delay = configure(server, tmp_path), 0.01
    runs = [start(settings, 0, 40), start(settings, 20, 60)]
    assert [run.wait() for run in runs] == [0, 0]
    assert stored(settings) == {f"p{number}": f"answer to p{number}" for number in range(60)}
    with sqlite3.connect(settings.cache) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_the_first_of_two_answers_stays(tmp_path: Path) -> None:
    question = asked(Request("p"), configure(None, tmp_path))
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        assert cache.add([Record(question, Answer("first", "m"))]) == 1
        assert cache.add([Record(question, Answer("second", "m"))]) == 0
        assert cache.find([fingerprint(question)]) == {fingerprint(question): Answer("first", "m")}
    connection = sqlite3.connect(tmp_path / "c.sqlite")
    for statement in ("UPDATE answers SET answer = ''", "DELETE FROM answers"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_a_file_that_is_no_cache_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_text("these are notes, not a database" * 100)
    with pytest.raises(DataError, match="can not be used"):
        LLM(configure(None, tmp_path)).ask(prompts("a"))
    with pytest.raises(DataError, match="no such file"):
        export_answers(tmp_path / "absent.sqlite", tmp_path / "out.jsonl")
    assert not (tmp_path / "absent.sqlite").exists()


def test_someone_without_a_model_repeats_a_run(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = configure(server, tmp_path / "mine")
    requests = prompts("a", "b\n\u2028c")
    answers = LLM(recorded).ask(requests)
    assert export_answers(recorded.cache, tmp_path / "a.jsonl") == 2
    monkeypatch.setitem(sys.modules, "openai", None)
    theirs = configure(None, tmp_path / "theirs")
    assert import_answers(tmp_path / "a.jsonl", theirs.cache) == 2
    assert import_answers(tmp_path / "a.jsonl", theirs.cache) == 0
    assert LLM(theirs).ask(requests) == answers
    with pytest.raises(MissingPackageError, match=r"pip install 'gmner\[llm\]'"):
        LLM(theirs).ask(prompts("new"))

    replay = provider(configure(None, tmp_path / "theirs", replay=tmp_path / "a.jsonl"))
    assert isinstance(replay, Replay)
    [first, missing] = replay.ask([requests[1], Request("new", id="sample 7")])
    assert first == answers[1]
    assert isinstance(missing, LLMError)
    assert "'sample 7'" in str(missing)
    assert replay.unanswered([*requests, Request("new", id="sample 7")]) == [Request("new", id="sample 7")]
    other = Replay(configure(None, tmp_path, model="another"), tmp_path / "a.jsonl")
    assert other.unanswered(requests) == requests
    assert isinstance(provider(theirs), LLM)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"model": "m", "prompt": "p"}',
        '{"model": "m", "prompt": "p", "answer": {"text": " ", "model": "m"}}',
        '{"model": "m", "prompt": "p", "answer": {"text": null, "model": "m"}}',
        '{"model": "m", "prompt": "p", "answer": "text"}',
        '{"prompt": "p", "answer": {"text": "t", "model": "m"}}',
        '{"model": "m", "prompt": "p", "answer": {"text": "t", "model": "m", "alien": 1}}',
    ],
)
def test_a_damaged_line_is_named_and_nothing_is_imported(tmp_path: Path, line: str) -> None:
    good = '{"model": "m", "prompt": "p", "answer": {"text": "t", "model": "m"}}'
    path, settings = tmp_path / "a.jsonl", configure(None, tmp_path)
    path.write_text(f"{good}\n\n{line}\n")
    with pytest.raises(DataError, match=r"a\.jsonl:3"):
        import_answers(path, settings.cache)
    assert stored(settings) == {}
    with pytest.raises(DataError, match="can not be read"):
        list(read_answers(tmp_path / "absent.jsonl"))


@given(st.text(), st.text(min_size=1), st.text(min_size=1).filter(str.strip))
@settings(deadline=None, max_examples=40)
def test_any_text_survives_the_cache_and_the_export(
    tmp_path_factory: pytest.TempPathFactory, system: str, prompt: str, text: str
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    record = Record(asked(Request(prompt, system), configure(None, folder)), Answer(text, "m"))
    with AnswerCache(folder / "a.sqlite") as cache:
        cache.add([record])
    export_answers(folder / "a.sqlite", folder / "a.jsonl")
    assert list(read_answers(folder / "a.jsonl")) == [record]


def test_a_dry_run_shows_what_would_be_asked_and_asks_nothing(server: Server, tmp_path: Path) -> None:
    llm = LLM(configure(server, tmp_path, prompt_price=1e6))
    llm.ask(prompts("known"))
    shown = llm.dry_run([*prompts("known", "twice", "twice"), Request("three", system="be brief", images=(b"1",))])
    assert "known" not in shown
    assert shown.count("twice\n") == 1
    assert "be brief\nthree\n[1 images]" in shown
    assert "4 requests to m: 2 to ask, about 4 tokens of prompts, 4.00 USD" in shown
    assert server.counts == {"known": 1}


def test_progress_counts_and_estimates(server: Server, tmp_path: Path) -> None:
    seen: list[Progress] = []
    server.faults = {"bad": ["400"]}
    llm = LLM(configure(server, tmp_path, concurrency=1, prompt_price=2.0, answer_price=4.0))
    llm.ask(prompts("a"))
    llm.ask(prompts("a", "b", "bad", "c"), seen.append)
    assert [progress.finished for progress in seen] == [0, 1, 2, 3]
    last = seen[-1]
    assert (last.known, last.to_ask, last.answered, last.failed, last.requests) == (1, 3, 2, 1, 3)
    assert last.cost == pytest.approx(2 * (10 * 2.0 + 5 * 4.0) / 1e6)
    assert last.seconds_left == 0
    llm.ask(prompts("a"), seen.append)
    assert seen[-1].to_ask == 0

    half = Progress(0, 100, 40, 10, 60, 1_000_000, 500_000, 90.0, 2.0, 4.0)
    assert half.cost == pytest.approx(4.0)
    assert half.expected_cost == pytest.approx(8.0)
    assert half.seconds_left == pytest.approx(90.0)
    assert "4.00 of about 8.00 USD" in str(half)
    assert "about 1:30 left" in str(half)
    assert Progress(0, 5).expected_cost is None


def test_the_bar_on_the_terminal_says_it(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as show:
        LLM(configure(server, tmp_path)).ask(prompts("a", "b"), show)
    captured = capsys.readouterr()
    assert "2 of 2 answered" in " ".join(captured.err.split())
    assert captured.out == ""


def test_asking_from_within_a_running_loop(server: Server, tmp_path: Path) -> None:
    async def notebook() -> list[str]:
        return texts(LLM(configure(server, tmp_path)).ask(prompts("a")))

    assert asyncio.run(notebook()) == ["answer to a"]


@pytest.mark.parametrize(
    "changes",
    [{"concurrency": 0}, {"attempts": 0}, {"timeout": 0.0}, {"connect_timeout": -1.0}, {"max_tokens": 0},
     {"backoff": -0.1}, {"base_url": "localhost:11434/v1"}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        configure(None, tmp_path, **changes)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(TextError, match="lone surrogate"):
        Request("a \ud800")
