"""Writes the demo data of recipes/text_classification.py: made-up messages to a shop, each with any of six topics.

    python scripts/make_text_classification_demo_data.py [--output_dir recipes/demo]

A message greets, says a sentence for each of its topics, in any order, and ends politely; about one in twelve has no
topic at all. "refund" mostly goes with "damaged" or "late delivery", "invoice" is rare: as in real labels, some go
together and some are scarce; and as a person would, the draw forgets one label in 25. Nobody in it exists. It only uses
`random.Random(seed).random()`, which gives the same numbers on every Python.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

from demo_copies import replace_copies

SEED = 11
ROWS = {"train": 1800, "validation": 300, "test": 500}
# Of each topic: how many of 100 messages have it, and sentences that say it; {} is an article.
TOPICS: dict[str, tuple[int, str]] = {
    "damaged": (28, "the {} arrived broken | there is a crack in the {} | the {} came with a dent | my {} is torn"),
    "invoice": (9, "please send the bill for the {} | the invoice of the {} is wrong | I need a receipt for the {}"),
    "late delivery": (
        26,
        "the {} is still not here | I have waited weeks for the {} | the parcel with the {} never came",
    ),
    "praise": (22, "the {} is lovely | I am so happy with the {} | great service as ever | your staff were kind"),
    "product question": (
        24,
        "does the {} fit outdoors | is the {} washable | which size is the {} | can I fold the {}",
    ),
    "refund": (14, "I want my money back | please return the payment for the {} | cancel the {} and pay me back"),
}
WITH_REFUND = 45  # of 100 messages that are about damage or delay
WITHOUT_TOPIC = 8  # of 100
FORGOTTEN = 4  # of 100 labels
ARTICLES = "kettle | blue lamp | garden chair | rug | desk | mirror | tea set | tent | clock | shelf | curtain | stove"
BEGIN = "Hello , | Dear team , | Good morning , | Hi there , | To whom it may concern , |"
FILL = "I ordered on {} . | This is about order {} . | My customer number is {} . | |"
END = "Thank you . | Kind regards | Best wishes | Please answer soon . |"
CHAT = "I only write to say hello | nothing is wrong here | this is a test message | please ignore this mail"
DAYS = "Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday"


def choice(draw: random.Random, words: Any) -> str:
    """One of some words, or of those that bars separate."""
    options = [word.strip() for word in words.split("|")] if isinstance(words, str) else list(words)
    return str(options[int(draw.random() * len(options))])


def topics(draw: random.Random) -> list[str]:
    """The topics of a message, in their order above."""
    if 100 * draw.random() < WITHOUT_TOPIC:
        return []
    own = {topic for topic, (share, _) in TOPICS.items() if 100 * draw.random() < share}
    if own & {"damaged", "late delivery"} and 100 * draw.random() < WITH_REFUND:
        own.add("refund")
    return [topic for topic in TOPICS if topic in own] or [choice(draw, TOPICS)]


def message(draw: random.Random) -> dict[str, Any]:
    """A row of the demo."""
    labels = topics(draw)
    sentences = [choice(draw, TOPICS[topic][1]) for topic in labels] or [choice(draw, CHAT)]
    order = sorted(range(len(sentences)), key=lambda _: draw.random())
    detail = choice(draw, DAYS) if draw.random() < 0.5 else str(int(draw.random() * 90_000) + 10_000)
    said = [f"{sentences[place].format(choice(draw, ARTICLES))} ." for place in order]
    parts = [choice(draw, BEGIN), choice(draw, FILL).format(detail), *said, choice(draw, END)]
    given = [label for label in labels if 100 * draw.random() >= FORGOTTEN]
    return {"text": " ".join(part for part in parts if part), "labels": given}


def write_demo(folder: Path) -> None:
    """Writes train, validation and test, without copies across them."""
    draw = random.Random(SEED)
    splits = {split: [message(draw) for _ in range(rows)] for split, rows in ROWS.items()}
    replace_copies(splits, lambda row: row["text"], draw=lambda split, row: message(draw))
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        lines = [json.dumps(row) + "\n" for row in rows]
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", default="recipes/demo", help="where the folder text_classification is written")
    write_demo(Path(parser.parse_args().output_dir) / "text_classification")
