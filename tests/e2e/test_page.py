"""The web page in a real browser: a post goes in, names light up in text, picture and table, files come out."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gmner.geometry import decode_mask
from gmner.types import Mask

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "gmner.cli.main", "serve", "--port", str(port)])
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/readyz").close()
                break
            except urllib.error.URLError:
                assert server.poll() is None, "the server has ended"
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        assert server.wait(70) == -signal.SIGTERM  # drained, then uvicorn hands the signal on


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.foreign = []
        page.on("request", lambda request: page.foreign.append(request.url))
        page.goto(address)
        yield page
        assert all(url.startswith((address, "blob:", "data:")) for url in page.foreign)  # nothing from elsewhere
        browser.close()


def post(page: Any, text: str, picture: Path | None) -> None:
    page.fill("#text", text)
    if picture is not None:
        page.set_input_files("#image", str(picture))
    page.click("#send")
    page.wait_for_function("!document.querySelector('#send').disabled")


def example() -> tuple[str, Path]:
    row = json.loads((EXAMPLES / "posts.jsonl").read_text(encoding="utf-8").splitlines()[0])
    return row["text"], EXAMPLES / row["image"]


def test_a_post_is_shown_linked_and_downloaded(page: Any, tmp_path: Path) -> None:
    text, picture = example()
    post(page, text, picture)
    marks = page.locator("#reading mark")
    assert marks.count() == page.locator("#entities tr").count() > 0
    assert page.inner_text("#reading").startswith(text[:3]) or marks.first.is_visible()
    assert page.locator("#boxes rect").count() > 0

    marks.first.hover()
    number = marks.first.get_attribute("data-entity")
    assert page.locator(f'#entities tr.on[data-entity="{number}"]').count() == 1
    marks.first.focus()
    assert page.locator(f'mark.on[data-entity="{number}"]').count() == 1

    files = {}
    for format_ in ("json", "coco", "labelme", "png"):
        with page.expect_download() as download:
            page.click(f'[data-format="{format_}"]')
        files[format_] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[format_])
    row = json.loads(files["json"].read_text(encoding="utf-8"))
    assert row["text"] == text and row["entities"]
    coco = json.loads(files["coco"].read_text(encoding="utf-8"))
    masks = [entity["masks"][0] for entity in row["entities"] if entity.get("masks")]
    sums = [int(decode_mask(Mask(tuple(mask["size"]), mask["counts"])).sum()) for mask in masks]
    assert [annotation["area"] for annotation in coco["annotations"]] == sums  # the page reads COCO's codes as we do
    labelme = json.loads(files["labelme"].read_text(encoding="utf-8"))
    assert (labelme["imageWidth"], labelme["imageHeight"]) == tuple(row["image_size"])
    assert files["png"].read_bytes().startswith(b"\x89PNG")


def test_sliders_hide_regions_and_names(page: Any) -> None:
    text, picture = example()
    post(page, text, picture)
    page.locator("#visible").fill("1")
    assert page.locator("#boxes rect").count() == 0 and page.locator("#entities tr").count() > 0
    page.locator("#score").fill("1")
    assert page.locator("#entities tr").count() == 0


def test_errors_are_shown_kindly(page: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.png"
    wrong.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    post(page, "Ada in Rome", wrong)
    assert page.is_visible("#error") and "SVG" in page.inner_text("#error")
    page.click("#remove")
    post(page, "Ada 👩‍💻 Lovelace visits Rome", None)
    assert not page.is_visible("#error") and not page.is_visible("#scene")
    assert "Rome" in page.locator("#reading mark").all_inner_texts()[-1]


def test_the_page_is_usable_by_keyboard(page: Any) -> None:
    for target in ("text", "image"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == target
    assert page.evaluate("[...document.querySelectorAll('input, textarea')].every((one) => one.labels.length > 0)")
