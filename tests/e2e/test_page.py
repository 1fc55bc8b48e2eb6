"""The web page in a real browser: a post goes in, names light up in text, picture and table, files come out."""

import io
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serving import serving

from gmner.data.labelme import from_base64
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
    with serving("-m", "gmner.cli.main", "serve", "--port", "0") as service:
        yield service.url
        assert service.end(70) == -signal.SIGTERM  # drained, then uvicorn hands the signal on


@contextmanager
def browsing(address: str, **options: Any) -> Iterator[Any]:
    """A page of a browser in which nothing is loaded from elsewhere."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page
        origin = "/".join(address.split("/")[:3])
        assert all(url.startswith((origin, "blob:", "data:")) for url in asked)
        browser.close()


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    with browsing(address) as page:
        yield page


def post(page: Any, text: str, picture: Path | None) -> None:
    page.fill("#text", text)
    if picture is not None:
        page.set_input_files("#image", str(picture))
    page.click("#send")
    answered(page)


def answered(page: Any) -> None:
    page.wait_for_function("['#result', '#error'].some((one) => !document.querySelector(one).hidden)")
    page.wait_for_selector('#post[aria-busy="false"]')


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
    drawn = [shape for shape in labelme["shapes"] if shape["shape_type"] == "mask"]
    for shape, mask in zip(drawn, masks, strict=True):
        with Image.open(io.BytesIO(from_base64(shape["mask"]))) as bitmap:
            assert bitmap.mode == "L"  # labelme takes the array as it is
            (left, top), (right, bottom) = shape["points"]
            whole = decode_mask(Mask(tuple(mask["size"]), mask["counts"]))
            np.testing.assert_array_equal(np.asarray(bitmap) > 0, whole[top : bottom + 1, left : right + 1])
            assert whole.sum() == (np.asarray(bitmap) > 0).sum()
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
    assert page.is_visible("#error") and "SVG" in page.inner_text("#error") and not page.is_visible("#preview")
    page.click("#remove")
    post(page, "Ada 👩‍💻 Lovelace visits Rome", None)
    assert not page.is_visible("#error") and not page.is_visible("#scene")
    assert "Rome" in page.locator("#reading mark").all_inner_texts()[-1]


def test_an_answer_that_is_not_of_the_service_is_told(page: Any) -> None:
    page.route("**/v1/predict", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    post(page, "Ada", None)
    assert page.inner_text("#error") == "The service answered with status 502."
    page.route("**/v1/predict", lambda route: route.abort())
    post(page, "Ada", None)
    assert page.inner_text("#error") == "The service can not be reached."


def test_without_a_picture_there_is_text_alone(page: Any) -> None:
    post(page, "Ada Lovelace visits Rome", None)
    assert page.locator("#downloads button:visible").all_inner_texts() == ["JSON"]
    assert "no picture" in page.inner_text("#notes")


def test_what_was_looked_at_is_shown_on_demand(page: Any) -> None:
    post(page, *example())
    assert "face" in page.inner_text("#looked") and page.locator("rect.candidate").count() == 0
    page.check("#candidates")
    assert page.locator("rect.candidate").first.get_attribute("aria-label").startswith("face, ")


def test_a_result_keeps_its_picture_when_another_is_chosen(page: Any) -> None:
    text, picture = example()
    post(page, text, picture)
    page.set_input_files("#image", str(EXAMPLES / "photos" / "grace-hopper.jpg"))
    with page.expect_download() as download:
        page.click('[data-format="labelme"]')
    labelme = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert labelme["imagePath"] == picture.name and from_base64(labelme["imageData"]) == picture.read_bytes()


def test_a_labelme_file_of_a_turned_picture_holds_it_upright(page: Any, tmp_path: Path) -> None:
    """labelme takes the picture in a file as it lies, and refuses one of other sides than the file says."""
    text, picture = example()
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(picture) as image:
        upright = image.convert("RGB").crop((0, 0, 400, 512))
        upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    post(page, text, tmp_path / "turned.jpg")
    with page.expect_download() as download:
        page.click('[data-format="labelme"]')
    labelme = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    with Image.open(io.BytesIO(from_base64(labelme["imageData"]))) as held:
        assert held.size == (labelme["imageWidth"], labelme["imageHeight"]) == upright.size
        assert 0x0112 not in held.getexif()
        np.testing.assert_allclose(np.asarray(held.resize((8, 8))), np.asarray(upright.resize((8, 8))), atol=25)


def test_a_picture_that_is_dropped_beside_its_place_leaves_the_page(page: Any) -> None:
    def drop(place: str) -> bool:
        drag = "new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: new DataTransfer()})"
        return bool(page.evaluate(f"!document.querySelector('{place}').dispatchEvent({drag})"))

    assert drop("header") and drop("#drop")  # the browser is told not to open it


def test_the_api_is_described_on_a_page(address: str) -> None:
    for width in (1280, 390):
        with browsing(f"{address}/docs", viewport={"width": width, "height": 800}) as page:
            page.wait_for_selector("h2")
            assert page.locator("h2").all_inner_texts()[0] == "POST /v1/predict"
            rows = page.locator("tbody th").all_inner_texts()
            assert {"posts[].text", "posts[].image", "posts[].entities[].boxes", "error.message", "text"} <= {*rows}
            assert page.evaluate("document.documentElement.scrollWidth") == width
            within = "[...document.querySelectorAll('th, td')].every((cell) => cell.scrollWidth <= cell.clientWidth)"
            assert page.evaluate(within)


def test_all_of_it_by_keyboard(page: Any) -> None:
    def focused() -> str:
        name: str = page.evaluate("document.activeElement.id || document.activeElement.tagName")
        return name

    def tab_to(name: str) -> None:
        for _ in range(20):
            page.keyboard.press("Tab")
            if focused() == name:
                return
        pytest.fail(f"{name} can not be reached by the keyboard")

    text, picture = example()
    choosers: list[Any] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # long before: the browser has to know by then
    tab_to("text")
    page.keyboard.press("Control+A")
    page.keyboard.type(text)
    tab_to("image")
    with page.expect_file_chooser():
        page.keyboard.press("Enter")
    choosers[0].set_files(str(picture))
    tab_to("remove")
    tab_to("send")
    page.keyboard.press("Enter")
    answered(page)
    assert focused() == "send"  # the way goes on from there
    tab_to("MARK")
    assert page.locator("mark.on").count() == 1 and page.locator("tr.on").count() == 1
    tab_to("rect")
    assert page.locator("rect.on").count() == page.locator("tr.on").count() == 1
    tab_to("visible")
    page.keyboard.press("End")
    assert page.inner_text("#visible-value") == "1.00" and page.locator("#boxes rect").count() == 0
    tab_to("candidates")
    page.keyboard.press("Space")
    assert page.locator("rect.candidate").count() > 0
    tab_to("BUTTON")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == f"{picture.stem}.json"
    labelled = "[...document.querySelectorAll('input, textarea')].every((one) => one.labels.length > 0)"
    assert page.evaluate(labelled)


def test_narrow_screens_need_no_scrolling_sideways(address: str) -> None:
    with browsing(address, viewport={"width": 390, "height": 800}) as page:
        post(page, *example())
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.locator("td.why").first.bounding_box()["width"] > 300


def test_a_key_is_asked_for_by_the_browser() -> None:
    with (
        serving("-m", "tests.serving", "0", environment=os.environ | {"GMNER_API_KEY": "s3cret"}) as service,
        browsing(service.url, http_credentials={"username": "anybody", "password": "s3cret"}) as page,
    ):
        post(page, "Ada sings", None)
        assert page.locator("#reading mark").all_inner_texts() == ["AdaPER"]
