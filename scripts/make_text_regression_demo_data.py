"""Writes the demo data of recipes/text_regression.py: made-up adverts of flats, and the rent that each should bring.

    python scripts/make_text_regression_demo_data.py [--output_dir recipes/demo]

The rent follows the size, the quarter, the state, and the floor: high up it is dearer with a lift and cheaper without.
Most sizes stand in one advert alone, so that a model of whole words, as TF-IDF, learns little from them; a model that
reads pieces of words sees their first digit. Nothing is copied from a real advert. The draw uses only
`random.Random(seed).random()`, which gives the same numbers on every Python.
"""

import argparse
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from demo_copies import replace_copies

ROWS = {"train": 1600, "validation": 300, "test": 300}
QUARTERS = {
    "the old town": 1.25, "the harbor": 1.3, "Garden Hill": 1.15, "the station quarter": 0.95, "the university": 1.05,
    "Mill Lane": 1.0, "the north end": 0.85, "Factory Road": 0.75, "the market square": 1.1, "Brook Meadow": 0.9,
}  # fmt: skip
STATES = {
    "newly renovated": 120, "in need of some work": -130, "well kept": 20, "with the original tiles": -20,
    "furnished": 90, "freshly painted": 30, "a bit dated": -70, "bright and modern": 100, "simple but clean": -40,
}  # fmt: skip
EXTRAS = {
    "a balcony to the south": 60, "a parking space": 70, "a share of the garden": 50, "a cellar": 15,
    "a new kitchen": 55, "an open fireplace": 35, "no kitchen yet": -60, "windows to the main road": -50,
    "two bathrooms": 65, "a room for bicycles": 10, "coal heating": -80, "a terrace on the roof": 110,
}  # fmt: skip
FLOORS = ("ground floor", "first floor", "second floor", "third floor", "fourth floor", "fifth floor", "sixth floor")
Choice = TypeVar("Choice")
Row = tuple[str, int]


def pick(choices: Sequence[Choice], draw: random.Random) -> Choice:
    """One of them."""
    return choices[int(draw.random() * len(choices))]


def normal(draw: random.Random) -> float:
    """A standard normal number, by Box and Muller."""
    return math.sqrt(-2 * math.log(1 - draw.random())) * math.cos(2 * math.pi * draw.random())


def advert(draw: random.Random) -> Row:
    """A text and its rent, whole euros a month."""
    size = 250 + int(750 * draw.random())  # square feet
    quarter, state = pick(list(QUARTERS), draw), pick(list(STATES), draw)
    floor, has_lift = int(draw.random() * len(FLOORS)), draw.random() < 0.5
    extra = pick(list(EXTRAS), draw)
    height = 15 * floor if has_lift else -25 * max(0, floor - 1)
    rent = (150 + 0.9 * size) * QUARTERS[quarter] + STATES[state] + EXTRAS[extra] + height
    parts = [
        f"{size} square feet",
        f"{FLOORS[floor]} {'with' if has_lift else 'without'} lift",
        f"in {quarter}" if draw.random() < 0.5 else f"near {quarter}",
        state,
        extra,
    ]
    text = ", ".join(part for _, part in sorted((draw.random(), part) for part in parts))
    text = text if draw.random() < 0.3 else text[0].upper() + text[1:]
    return text, round(rent * math.exp(0.05 * normal(draw)))


def make_rows(seed: int = 0) -> dict[str, list[Row]]:
    """(text, rent) of every split; no row of a split copies a row of another."""
    draw = random.Random(seed)
    splits = {split: [advert(draw) for _ in range(rows)] for split, rows in ROWS.items()}
    replace_copies(splits, lambda row: row[0], draw=lambda split, row: advert(draw))
    return splits


def to_jsonl(rows: Sequence[Row]) -> str:
    """An object a line, with `text` and `rent`."""
    return "".join(json.dumps({"text": text, "rent": rent}) + "\n" for text, rent in rows)


def main() -> None:
    """Writes every split as text_regression/SPLIT.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path(__file__).parent.parent / "recipes" / "demo")
    folder = parser.parse_args().output_dir / "text_regression"
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in make_rows().items():
        (folder / f"{split}.jsonl").write_text(to_jsonl(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
