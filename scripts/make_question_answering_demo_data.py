"""Writes the demo data of recipes/question_answering.py: made-up notes on old houses, and questions on them.

    python scripts/make_question_answering_demo_data.py [--output_dir recipes/demo]

Each note tells four of six facts of a house, in an order of its own, so that the words beside an answer, not its place,
tell which question it answers. About a sixth of the questions ask for a fact that the note does not tell: they have no
answer. Validation and test have names and towns that train has not. Nobody in it exists. The files are laid out as
SQuAD's. The draw uses only `random.Random(seed).random()`, which gives the same numbers on every Python.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SEED = 7
NOTES = {"train": 1000, "validation": 80, "test": 100}
TOLD, QUESTIONS = 4, 3  # of each note: facts, and questions
WITHOUT_ANSWER = 1 / 6

HOUSE = "mill | bakery | chapel | school | lighthouse | theatre | station | brewery | library | inn"
FIRST = "Anna Ben Carla Dev Ella Farid Grace Hugo Ines Jonas Kemi Liam Mira Noor Omar Priya Rosa Sam Tariq Uma"
LAST = "Morgan Ferro Okafor Lind Sato Weber Novak Reyes Khan Duval Marsh Holt Costa Berg Adeyemi Chen Moss Lane"
TOWN = "Velmora Astbury Tarrin Kolding Mirefield Lunden Harwick Sevra Pell Norcastle Varga Eastmoor"
LATER_FIRST = "Yusuf Greta Milo Petra"  # these occur in validation and test only
LATER_LAST = "Quist Bramley Tanaka"
LATER_TOWN = "Eldham Corvo"
STUFF = "red brick | grey stone | oak and clay | white marble | old ship timber | iron and glass"

# Of each fact: sentences that say it, and questions that ask for it. {} is the answer, {h} the house.
FACTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "builder": (
        ("It was built by {} for the town .", "The builder was {} ."),
        ("Who built the {h} ?", "Who was the builder of the {h} ?"),
    ),
    "owner": (
        ("It is owned by {} today .", "The owner is {} , who lives next door ."),
        ("Who owned the {h} ?", "Who is the owner of the {h} ?"),
    ),
    "opened": (
        ("It opened in {} after much delay .", "The doors opened in {} ."),
        ("When was the {h} opened ?", "In which year were the doors of the {h} opened ?"),
    ),
    "town": (
        ("It stands in {} near the river .", "The town of {} is proud of it ."),
        ("Where does it stand , the {h} ?", "In which town is the {h} ?"),
    ),
    "price": (
        ("It was sold for {} at an auction .", "The price was {} ."),
        ("For how much was the {h} sold ?", "What was the price of the {h} ?"),
    ),
    "stuff": (
        ("The walls are of {} .", "It is made of {} ."),
        ("Of what are the walls of the {h} ?", "Of what is the {h} made ?"),
    ),
}


class Draw:
    """Choices that hang on `random.Random(seed).random()` alone."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed).random

    def one(self, choices: Sequence[str]) -> str:
        """One of them."""
        return choices[int(self.random() * len(choices))]

    def shuffled(self, items: Sequence[str]) -> list[str]:
        """All of them in another order."""
        return sorted(items, key=lambda _: self.random())


def split_list(text: str) -> list[str]:
    """Parts by bars, or words."""
    return [part.strip() for part in text.split("|")] if "|" in text else text.split()


def value_of(fact: str, draw: Draw, *, later: bool) -> str:
    """What the fact says of one house."""
    if fact in ("builder", "owner"):
        first, last = FIRST, LAST
        if later and draw.random() < 0.2:
            first, last = f"{FIRST} {LATER_FIRST}", f"{LATER_LAST}"
        return f"{draw.one(split_list(first))} {draw.one(split_list(last))}"
    if fact == "opened":
        return str(1700 + int(draw.random() * 320))
    if fact == "town":
        return draw.one(split_list(f"{TOWN} {LATER_TOWN}" if later else TOWN))
    if fact == "price":
        return f"{1 + int(draw.random() * 90)} thousand {draw.one(['crowns', 'marks', 'florins'])}"
    return draw.one(split_list(STUFF))


def make_note(draw: Draw, number: int, *, later: bool) -> dict[str, Any]:
    """One note with its questions, as an article of SQuAD's json."""
    house = draw.one(split_list(HOUSE))
    order = draw.shuffled(list(FACTS))
    told, untold = order[:TOLD], order[TOLD:]
    context, answers = f"The old {house} .", {}
    for fact in told:
        before, after = draw.one(FACTS[fact][0]).split("{}")
        value = value_of(fact, draw, later=later)
        answers[fact] = [{"text": value, "answer_start": len(context) + 1 + len(before)}]
        context += f" {before}{value}{after}"
    asked = []
    for place, fact in enumerate(draw.shuffled(told)[:QUESTIONS]):
        is_answered = draw.random() >= WITHOUT_ANSWER
        fact = fact if is_answered else draw.one(untold)
        question = draw.one(FACTS[fact][1]).format(h=house)
        asked.append({"id": f"{number}-{place}", "question": question, "answers": answers.get(fact, [])})
    return {"title": f"note {number}", "paragraphs": [{"context": context, "qas": asked}]}


def main() -> None:
    """Reads the arguments and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path(__file__).parent.parent / "recipes" / "demo")
    folder = parser.parse_args().output_dir / "question_answering"
    folder.mkdir(parents=True, exist_ok=True)
    draw, number = Draw(SEED), 0
    for split, notes in NOTES.items():
        articles = []
        for _ in range(notes):
            number += 1
            articles.append(json.dumps(make_note(draw, number, later=split != "train")))
        content = '{"data": [\n' + ",\n".join(articles) + "\n]}\n"
        (folder / f"{split}.json").write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
