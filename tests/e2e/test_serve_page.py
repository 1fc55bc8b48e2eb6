"""What docs/serve.md says to type, typed, at a service."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving import serving

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "serve.md").read_text(encoding="utf-8")
[CURL] = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
[PYTHON] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving("-m", "tests.serving", "0") as service:
        yield service.url


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_curl_is_answered(address: str) -> None:
    told = []
    for line in CURL.splitlines():
        assert ADDRESS in line
        command = ["sh", "-c", line.replace(ADDRESS, address)]
        told.append(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60).stdout)
    one, two, plain = (json.loads(answer)["posts"] for answer in told[:3])
    assert [row["image_size"] for row in one] == [[512, 600]]
    assert [(row["id"], row["text"], row.get("image_size")) for row in two] == [
        ("1", "Ada in Rome", None),
        ("2", "Hopper", [512, 600]),
    ]
    assert [row["entities"][0]["text"] for row in plain] == ["Ada"]
    assert 'gmner_requests_total{route="/v1/predict",status="200"} 3.0' in told[3]


def test_the_client_is_answered(address: str) -> None:
    code = PYTHON.replace(ADDRESS, address) + "\nprint(prediction.entities[0].text, prediction.image_size)"
    finished = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert finished.stdout == "Grace (512, 600)\n", finished.stderr
