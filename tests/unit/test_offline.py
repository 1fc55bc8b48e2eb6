"""What needs no hub needs no network: sockets forbidden (`conftest.py`), it is loaded, predicts, is scored and trains.

Systems that need a trained model are loaded from folders in their own tests, and every recipe is prepared in
`test_recipes.py`; they run under the same rule.
"""

import socket
from pathlib import Path

import pytest

from gmner.metrics import evaluate
from gmner.systems import SYSTEMS, load
from gmner.systems.lite import TAGGER
from gmner.types import Entity, Example

HOPPER = Path(__file__).parents[2] / "examples" / "photos" / "grace-hopper.jpg"
OFFLINE = {"lite": {}, "segmented": {}, "blind": {"tagger": str(TAGGER)}, "plim": {"tagger": str(TAGGER)}}
TRAINED = {"riveg": "test_riveg.py", "mqspn": "test_joint.py", "h-index": "test_evg.py", "evg": "test_evg.py"}


def test_every_system_is_here_or_in_its_own_test() -> None:
    assert {*OFFLINE, *TRAINED} == {*SYSTEMS}
    for name, file in TRAINED.items():
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert f'load("{name}"' in text and "predict([" in text and "mark.sockets" not in text


@pytest.mark.sockets  # the inner tests have their own rule
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_rule_holds(pytester: pytest.Pytester, family: int) -> None:
    """A test that opens a socket fails, even if it catches the error; one that is marked does not."""
    pytester.makeconftest((Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(f"""
        import contextlib, pytest, socket
        def opens():
            with contextlib.suppress(OSError):
                socket.socket({int(family)}).close()
        def test_unmarked(): opens()
        def test_lookup():
            with contextlib.suppress(OSError):
                socket.getaddrinfo("gmner.invalid", 80)
        @pytest.mark.sockets
        def test_marked(): opens()
        def test_pair(): [end.close() for end in socket.socketpair()]
    """)
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=4, errors=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", OFFLINE)
def test_loaded_predicting_and_scored(name: str) -> None:
    gold = Example(
        id="1", text="Grace Hopper of the US Navy", image=HOPPER, entities=(Entity("Grace Hopper", "PER", 0, 12),)
    )
    found = load(name, **OFFLINE[name]).predict([gold])
    assert evaluate([gold], found, tasks=["mner"])["mner"].right == 1
