"""The search for copies at 100,000 x 10,000 texts: time, memory, what it finds and flags.

    python scripts/bench_leakage.py [--train_rows 100000] [--test_rows 10000] [--data ../shared/data]

Texts of 10 to 50 words, in which common words and phrases recur as in a language; a tenth opens with one of five
disclaimers of 40 words. Of the test rows, 500 each are planted: equal up to case and punctuation, one word changed, two
words changed. Judged by: under 15 s on two cores, under 1 GB at the peak (texts and imports included), all equal and
99 % of the edited ones found with their row, no unplanted row flagged. What is flagged in real sets is for the eye.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from llmtune.data.files import read_rows
from llmtune.text.near_duplicates import NearDuplicates

PLANTED = 500


def main() -> None:
    """Runs both parts and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train_rows", type=int, default=100_000)
    parser.add_argument("--test_rows", type=int, default=10_000)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real sets; may be absent")
    chosen = parser.parse_args()
    measure_planted(chosen.train_rows, chosen.test_rows)
    for name in ("sms_spam", "sst2", "imdb", "ag_news"):
        if (chosen.data / name).is_dir():
            show_flagged(chosen.data / name)


def measure_planted(train_rows: int, test_rows: int) -> None:
    """Time, peak memory and what was found."""
    rng = np.random.default_rng(0)
    train, test = make_texts(rng, train_rows), make_texts(rng, test_rows)
    rows = rng.choice(test_rows, 3 * PLANTED, replace=False)
    originals = rng.choice(train_rows, 3 * PLANTED, replace=False)
    vocabulary = [f"w{number}" for number in range(50_000)]
    for position, (row, original) in enumerate(zip(rows, originals, strict=True)):
        kind = position // PLANTED
        test[row] = train[original].upper() + "!" if kind == 0 else edited(train[original], kind, rng, vocabulary)
    before = peak_mib()
    start = time.perf_counter()
    equal, edited_rows = NearDuplicates(train).find(test)
    seconds = time.perf_counter() - start
    near = {found.row: found for found in edited_rows}
    flagged = set(equal) | set(near)
    print(f"{train_rows:,} train x {test_rows:,} test texts: {seconds:.1f} s")
    print(f"peak memory {peak_mib():,.0f} MiB, of which {before:,.0f} before the check (texts, imports)")
    for kind, name in enumerate(("equal up to case and punctuation", "one word changed", "two words changed")):
        planted = range(kind * PLANTED, (kind + 1) * PLANTED)
        right = sum(
            (equal[rows[i]] if rows[i] in equal else near[rows[i]].original if rows[i] in near else -1) == originals[i]
            for i in planted
        )
        print(f"{name}: {right} of {PLANTED} found with their row")
    print(f"flagged, but not planted: {len(flagged - set(rows.tolist()))} of {test_rows - 3 * PLANTED:,}")


def make_texts(rng: np.random.Generator, rows: int) -> list[str]:
    """Texts of 10 to 50 words; each word is one of the 200 that may follow the word before, by Zipf's law."""
    disclaimers = [" ".join(f"legal{number}x{word}" for word in range(40)) for number in range(5)]
    lengths = rng.integers(10, 51, rows)
    words = np.empty((rows, 50), dtype=np.int64)
    words[:, 0] = np.minimum(rng.zipf(1.3, rows), 50_000) - 1
    for place in range(1, 50):
        follower = np.minimum(rng.zipf(1.3, rows), 200)
        words[:, place] = np.where(
            rng.random(rows) < 0.5, words[:, place - 1] * 7919 + follower * follower * 31, rng.zipf(1.2, rows)
        )
        words[:, place] %= 50_000
    texts = [" ".join(f"w{word}" for word in row[:length]) for row, length in zip(words.tolist(), lengths, strict=True)]
    opened = rng.random(rows) < 0.1
    return [f"{disclaimers[rng.integers(5)]} {text}" if has else text for text, has in zip(texts, opened, strict=True)]


def edited(text: str, words_changed: int, rng: np.random.Generator, vocabulary: list[str]) -> str:
    """The text with so many of its words replaced."""
    words = text.split()
    for place in rng.choice(len(words), words_changed, replace=False):
        words[place] = vocabulary[rng.integers(len(vocabulary))]
    return " ".join(words)


def show_flagged(folder: Path) -> None:
    """What is flagged between the train and test of a real set, to be judged by eye."""
    train, test = (read_texts(folder, split) for split in ("train", "test"))
    equal, found = NearDuplicates(train).find(test)
    print(f"{folder.name}: {len(equal)} equal, {len(found)} edited, of {len(test)} test rows")
    for one in found:
        print(f"  test {one.row} ~ train {one.original}, {one.changed} of {one.words} words, {one.bits:.0f} bits")
        print(f"    {test[one.row][:110]!r}\n    {train[one.original][:110]!r}")


def read_texts(folder: Path, split: str) -> list[str]:
    """The column `text`."""
    plain = folder / f"{split}.jsonl"
    rows = read_rows(plain if plain.exists() else f"{plain}.gz")
    return rows.cells("text")


def peak_mib() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
