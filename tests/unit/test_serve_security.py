"""What the service must not let happen: too large or foreign uploads, paths, a way past the key, words in the log.

`test_serve_fetch.py` has the pictures by URL, `test_no_foreign_code.py` pickle and remote code.
"""

import hmac
import io
import socket
import zlib
from collections.abc import Iterator
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageFile
from tests.serving import Echo, encoded, png
from tests.traffic import bomb
from typer.testing import CliRunner

from gmner import image
from gmner.cli.main import app as command
from gmner.data import iterate_rows
from gmner.errors import ConfigError, DataError, ImageError
from gmner.image import MAX_BYTES, MAX_PIXELS, check_image, open_image
from gmner.serve.app import create_app
from gmner.serve.settings import BODY_BYTES, ServiceSettings

KEY: Final = "s3cret"
BASIC: Final = encoded(f"anybody:{KEY}".encode())


@pytest.fixture
def system() -> Echo:
    return Echo()


@pytest.fixture
def client(system: Echo) -> Iterator[TestClient]:
    with TestClient(create_app(system)) as client:
        yield client


def saved(form: str, size: tuple[int, int] = (4, 4)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, form)
    return buffer.getvalue()


def wide(form: str) -> bytes:
    """A small file whose head says 60,000 x 60,000 pixels."""
    data = bytearray(saved(form))
    if form == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = (60_000).to_bytes(2, "big") * 2
    elif form == "GIF":
        data[6:10] = (60_000).to_bytes(2, "little") * 2
    elif form == "BMP":
        data[18:26] = (60_000).to_bytes(4, "little") * 2
    return bytes(data)


FOREIGN = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "PDF": b"%PDF-1.7\n",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "HEIC": b"\0\0\0\x18ftypheic",
    "AVIF": b"\0\0\0\x18ftypavif",
    "JPEG XL": b"\xff\x0a",
    "Photoshop": b"8BPS\0\1",
    "ZIP": b"PK\3\4",
    "ELF": b"\x7fELF",
    "pickle": b"\x80\x04\x95",
    "zeros": bytes(100),
    "nothing": b"",
}
PAST_A_CAP = {
    "bytes": saved("JPEG") + bytes(MAX_BYTES),
    "a PNG bomb": bomb(),
    "one row too many": bomb(10_000, MAX_PIXELS // 10_000 + 1),
    "no pixels": bomb(0, 0),
    **{f"a wide {form}": wide(form) for form in ("JPEG", "GIF", "BMP")},
}


@pytest.mark.parametrize("data", [*FOREIGN.values(), *PAST_A_CAP.values()], ids=[*FOREIGN, *PAST_A_CAP])
def test_uploads_are_refused_by_their_heads(
    data: bytes, client: TestClient, system: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they wait in the queue, and before a pixel is decoded."""
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    if len(data) < BODY_BYTES // 2:
        assert client.post("/v1/predict", json={"posts": [{"text": "Ada", "image": encoded(data)}]}).status_code == 422
    refused = client.post("/v1/predict", data={"text": "Ada"}, files={"image": ("a.png", data)})
    assert refused.status_code == 422 and refused.json()["error"]["kind"] == "ImageError"
    assert system.sizes == []


def test_a_picture_at_the_caps_is_let_in() -> None:
    check_image(bomb(10_000, MAX_PIXELS // 10_000))
    check_image(saved("JPEG") + bytes(MAX_BYTES - len(saved("JPEG"))))


def test_of_all_that_pillow_opens_five_formats_are_let_in() -> None:
    Image.init()
    let_in, refused = set(), set()
    for form in sorted(Image.SAVE):
        try:
            data = saved(form, (64, 64))
        except Exception:  # formats that need more than a picture
            continue
        try:
            check_image(data)
            assert open_image(data).shape == (64, 64, 3)
            let_in.add(form)
        except ImageError:
            refused.add(form)
    assert let_in - {"MPO"} == {"JPEG", "PNG", "WEBP", "GIF", "BMP"} - ({"WEBP"} - Image.SAVE.keys())  # MPO is JPEG
    assert {"TIFF", "ICO", "PPM", "TGA", "PCX", "SGI"} <= refused


@pytest.mark.parametrize("name", ["/etc/passwd", "../../etc/passwd", "file:///etc/passwd", "examples/posts.jsonl"])
def test_a_post_names_no_file_of_the_service(name: str, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_read_file", lambda *_: pytest.fail("a file was opened"))
    assert client.post("/v1/predict", json={"posts": [{"text": "Ada", "image": name}]}).status_code == 422
    assert client.post("/v1/predict", json={"posts": [{"text": "Ada", "image_url": name}]}).status_code == 422
    as_form = {"text": (None, "Ada"), "image": (None, name)}
    assert client.post("/v1/predict", files=as_form).status_code == 422
    posted = client.post("/v1/predict", data={"text": "Ada"}, files={"image": (name, png())})
    assert posted.status_code == 200 and name not in posted.text


@pytest.mark.parametrize("path", ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "%2e%2e%2fapp.py", "//etc/passwd",
                                  "..\\app.py", "page.js/../../app.py", "%00", "."])  # fmt: skip
def test_the_page_s_files_are_all_that_is_served(path: str, client: TestClient) -> None:
    assert client.get(f"/page/{path}").status_code in (404, 405)
    assert client.get("/page/page.js").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": KEY + "!"},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": "schlüssel"},
        {"Authorization": f"Bearer {KEY}!"},
        {"Authorization": f"Digest {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Basic " + encoded(b"\xff\xfe:\xff")},
        {"Authorization": "Basic " + encoded(KEY.encode())},
        {"Authorization": "Basic " + encoded(f"{KEY}:".encode())},
    ],
)
def test_without_the_key_no_route_answers(headers: dict[str, str]) -> None:
    app = create_app(Echo(), ServiceSettings(api_key=KEY))
    sent = [(name, value.encode()) for name, value in headers.items()]
    with TestClient(app) as client:
        routes = {getattr(route, "path", "/") for route in app.routes}
        assert {"/v1/predict", "/metrics", "/openapi.json", "/readyz", "/page", "/"} <= routes
        for route in (*sorted(routes), "/page/page.js", "/docs", "/redoc", "/none"):
            for method in ("GET", "POST", "HEAD", "OPTIONS"):
                answer = client.request(method, route, headers=sent)
                assert answer.status_code == 401, (method, route)
                assert answer.headers["www-authenticate"].startswith("Basic")  # so that browsers ask for it


@pytest.mark.parametrize("name, value", [("X-API-Key", KEY), ("Authorization", f"Bearer {KEY}"),
                                         ("Authorization", f"basic {BASIC}")])  # fmt: skip
def test_with_the_key_every_route_answers(name: str, value: str) -> None:
    with TestClient(create_app(Echo(), ServiceSettings(api_key=KEY))) as client:
        for route in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/systems", "/page/page.js", "/docs"):
            assert client.get(route, headers={name: value}).status_code == 200


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []
    genuine = hmac.compare_digest

    def compare(given: bytes, key: bytes) -> bool:
        compared.append((given, key))
        return genuine(given, key)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    with TestClient(create_app(Echo(), ServiceSettings(api_key=KEY))) as client:
        for given in ("s3cr", KEY):
            client.get("/healthz", headers={"X-API-Key": given})
    assert compared == [(b"s3cr", KEY.encode()), (KEY.encode(), KEY.encode())]


@pytest.mark.sockets
def test_it_listens_on_loopback_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = list[Any]()
    monkeypatch.setattr("gmner.systems.load_part", lambda *_: Echo())
    monkeypatch.setattr("gmner.serve.server.run", lambda *given: addresses.append(given[2].getsockname()))
    assert CliRunner().invoke(command, ["serve", "--port", "0"]).exit_code == 0
    [(host, _)] = addresses
    assert host == "127.0.0.1"


@pytest.mark.sockets
def test_a_port_that_is_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(command, ["serve", "--port", str(taken.getsockname()[1])])
    assert isinstance(result.exception, ConfigError) and "choose another --port" in str(result.exception)


@pytest.mark.parametrize("link", ["picture", "text"])
@pytest.mark.parametrize("target", ["absolute", "relative", "through a folder"])
def test_links_out_of_a_folder_of_posts_are_refused(link: str, target: str, tmp_path: Any) -> None:
    folder, outside = tmp_path / "posts", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "a.jpg").write_bytes(png())
    (outside / "a.txt").write_text("a secret", encoding="utf-8")
    linked, kept = ("a.jpg", "a.txt") if link == "picture" else ("a.txt", "a.jpg")
    (folder / kept).write_bytes((outside / kept).read_bytes() if kept == "a.jpg" else b"a post")
    if target == "through a folder":
        (folder / ".hidden").symlink_to(outside)
    paths = {"absolute": outside / linked, "relative": f"../outside/{linked}", "through a folder": f".hidden/{linked}"}
    (folder / linked).symlink_to(paths[target])
    [(_, row)] = iterate_rows(folder)
    assert isinstance(row, DataError) and "a link that leads out of the folder" in str(row)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "..\\secret", "a/b", "a b", ""])
def test_ids_of_data_sets_that_are_paths_are_refused(name: str, tmp_path: Any) -> None:
    """Pictures and annotations are called after them."""
    from gmner.data import read

    (tmp_path / "train.txt").write_text(f"IMGID:{name}\nAda\tB-PER\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="the image id"):
        read(tmp_path, "train")


def test_a_png_whose_notes_swell_is_refused() -> None:
    """Compressed text beside the pixels is a bomb of its own."""
    data = bytearray(png())
    swollen = b"key\0\0" + zlib.compress(bytes(200_000_000), 9)
    chunk = b"zTXt" + swollen
    data[33:33] = len(swollen).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    with pytest.raises(ImageError, match="damaged"):
        check_image(bytes(data))
