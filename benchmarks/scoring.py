"""How long scoring takes, and how it grows: every task under every protocol with bootstrap intervals, on one core.

`python benchmarks/scoring.py` prints one line a setting; `--profile` shows where the time of the first one goes.
"""

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import cProfile
import time
from dataclasses import dataclass, replace

import numpy as np

from gmner.geometry import encode_mask
from gmner.metrics import PROTOCOLS, bootstrap, evaluate
from gmner.types import ENTITY_TYPES, Box, Candidate, Entity, Example, Mask, Prediction

SAMPLES = 1000


@dataclass(frozen=True)
class Setting:
    """A set of posts: how many, how many entities in each, the share of these in the picture, masks or boxes only.

    The defaults are near Twitter-SMNER's test set, with 18 candidates a post.
    """

    posts: int = 10_000
    entities: int = 2
    groundable: float = 0.41
    masks: bool = True
    mask_side: int = 600
    candidates: int = 18


def make(setting: Setting, seed: int = 0) -> tuple[list[Example], list[Prediction]]:
    """Gold posts, and predictions that err in each way now and then."""
    rng = np.random.default_rng(seed)
    side = setting.mask_side
    # A stock of regions: encoding a mask for every entity would take longer than all the scoring.
    stock = [region(rng, side) for _ in range(200)]
    gold, predicted = [], []
    for number in range(setting.posts):
        words = [f"Name{rng.integers(100_000)}" for _ in range(setting.entities)]
        text = " and ".join(words)
        truth: list[Entity] = []
        guess: list[Entity] = []
        start = 0
        for word in words:
            kind = ENTITY_TYPES[rng.integers(4)]
            box, mask = stock[rng.integers(len(stock))]
            shown = {"boxes": (box,), "masks": (mask,) if setting.masks else ()}
            seen = shown if rng.random() < setting.groundable else {}
            entity = Entity(word, kind, start, start + len(word), **seen)
            truth.append(entity)
            start += len(word) + len(" and ")
            fate = rng.random()
            if fate < 0.1:
                continue  # missed
            if fate < 0.2:
                entity = replace(entity, type=ENTITY_TYPES[rng.integers(4)])
            elif fate < 0.3:
                box, mask = stock[rng.integers(len(stock))]
                entity = replace(entity, boxes=(box,), masks=(mask,) if setting.masks else ())
            elif fate < 0.35:
                entity = replace(entity, boxes=(), masks=())
            guess.append(entity)
        boxes = [entity.boxes[0] for entity in (*truth, *guess) if entity.boxes]
        boxes += [stock[index][0] for index in rng.integers(len(stock), size=setting.candidates)]
        candidates = tuple(Candidate(box, "object", 0.5) for box in boxes[: setting.candidates])
        gold.append(Example(id=f"{number}", text=text, entities=tuple(truth), candidates=candidates))
        predicted.append(Prediction(example=Example(id=f"{number}", text=text), entities=tuple(guess)))
    return gold, predicted


def region(rng: np.random.Generator, side: int) -> tuple[Box, Mask]:
    """A box and the blob in it, with a rim as ragged as annotators' outlines are."""
    x1, y1 = rng.integers(0, side // 2, 2)
    width, height = rng.integers(side // 8, side // 2, 2)
    rows, columns = np.mgrid[:side, :side]
    radius = np.hypot((columns - x1 - width / 2) / (width / 2), (rows - y1 - height / 2) / (height / 2))
    angle = np.arctan2(rows - y1 - height / 2, columns - x1 - width / 2)
    wave = 0.9 + 0.1 * np.sin(angle * rng.integers(3, 12) + rng.random())
    return Box(float(x1), float(y1), float(x1 + width), float(y1 + height)), encode_mask(radius < wave)


def score(gold: list[Example], predicted: list[Prediction]) -> dict[str, float]:
    """Seconds of each protocol: all of its tasks, each with an interval of 1,000 samples."""
    seconds = {}
    for protocol in PROTOCOLS:
        start = time.perf_counter()
        report = evaluate(gold, predicted, protocol=protocol)
        for task in report.scores:
            bootstrap(report, task, samples=SAMPLES)
        seconds[protocol] = time.perf_counter() - start
    return seconds


GROWTH: dict[str, list[Setting]] = {
    "posts": [Setting(posts=number) for number in (2_500, 5_000, 10_000, 20_000)],
    "entities": [Setting(posts=5_000, entities=number) for number in (1, 2, 4, 8)],
    "groundable": [Setting(posts=5_000, groundable=share) for share in (0.0, 0.41, 0.82)],
    "masks": [Setting(posts=5_000, masks=drawn) for drawn in (False, True)],
    "mask_side": [Setting(posts=5_000, mask_side=number) for number in (300, 600, 1200)],
    "candidates": [Setting(posts=5_000, candidates=number) for number in (6, 18, 54)],
}
"""By the field of a setting that grows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true", help="show where the time of 10,000 posts goes")
    if parser.parse_args().profile:
        gold, predicted = make(Setting())
        cProfile.runctx("score(gold, predicted)", globals(), {"gold": gold, "predicted": predicted}, sort="tottime")
        return
    print(f"{Setting()}: {told(Setting())}", flush=True)
    for field, settings in GROWTH.items():
        print(f"{field}, with {settings[0].posts:,} posts" if field != "posts" else field)
        for setting in settings:
            print(f"{getattr(setting, field):>8}: {told(setting)}", flush=True)


def told(setting: Setting) -> str:
    """The seconds that a setting takes, in words."""
    seconds = score(*make(setting))
    return (
        f"{sum(seconds.values()):.2f} s (" + ", ".join(f"{name} {value:.2f}" for name, value in seconds.items()) + ")"
    )


if __name__ == "__main__":
    main()
