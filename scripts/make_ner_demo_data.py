"""Writes the demo data of recipes/ner.py and recipes/pii.py: made-up newswire, and messages with personal data.

    python scripts/make_ner_demo_data.py [--output_dir recipes/demo]

Each text is a template whose slots are filled from lists and number patterns. Nobody in it exists: links and addresses
end in .example, telephone numbers are 555 ones, card numbers are random digits. So that no model is perfect, some words
are names of two types (Paris Morgan, Morgan Ltd, Paris), order numbers look like telephone numbers, the test split
has names that train has not, and a few labels are wrong. No row is an edited copy of a row of another split. The draw
uses only `random.Random(seed).random()`, which gives the same numbers on every Python.
"""

import argparse
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demo_copies import replace_copies

from llmtune.text.spans import split_words, tags_of_spans

SEED = 7
ROWS = {  # spans of digits and signs take more rows to learn than names do
    "ner": {"train": 1500, "validation": 250, "test": 300},
    "pii": {"train": 2400, "validation": 250, "test": 300},
}
WRONG = 0.015  # share of entities whose label is missing

FIRST = (
    "Anna Ben Carla Dev Ella Farid Grace Hugo Ines Jonas Kemi Liam Mira Noor Omar Priya Rosa Sam Tariq Uma Paris Jordan"
)
LAST = "Morgan Ferro Okafor Lind Sato Weber Novak Reyes Khan Duval Marsh Holt Ivanov Costa Berg Adeyemi Chen Moss Lane"
CITY = "Paris Jordan Velmora Astbury Tarrin Kolding Mirefield Ostrava Lunden Harwick Sevra Pell Norcastle Varga Lane"
LATER_FIRST = "Yusuf Greta Milo Petra Idris Wanda"  # these occur in validation and test only
LATER_LAST = "Quist Bramley Tanaka Orsini"
LATER_CITY = "Eldham Corvo Brisk Halmar"
FIRM = "Morgan Halcyon Brightwater Novak Cobalt Redfern Harwick Summit Varga Lumen Orbis Lane"
FIRM_END = "Ltd | Bank | Group | Motors | Airways | & Sons | Energy"
CLUB_END = "United | City | Rovers"
WORK = "Open | Cup | Prize | Treaty | Marathon"
DAY = "Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday"
PLAIN = (
    "shares | wheat | the report | talks | two engines | the strike | new rules | old debts | a bridge | tea exports"
)

NEWS = """
{PER} joined {ORG} on {day} .
{ORG} said on {day} that {plain} were sold to {ORG} .
{LOC} : {PER} beat {PER} in the {MISC} .
The {MISC} in {LOC} was won by {PER} .
{PER} , who lives in {LOC} , spoke about {plain} .
Police in {LOC} said on {day} they were looking for {plain} .
{ORG} opened an office in {LOC} and hired {PER} .
{ORG} drew with {ORG} in {LOC} on {day} .
Minister {PER} flew from {LOC} to {LOC} on {day} .
"{plain} will fall ," said {PER} of {ORG} .
{day} : no word about {plain} from {LOC} .
Prices for {plain} rose in {LOC} , {ORG} said .
Nobody was hurt when {plain} fell on {day} .
{PER} ( {LOC} ) 6-4 7-5
{MISC} : {plain} on hold , says {ORG}
{A} was quiet on {day} .
The {MISC} begins on {day} .
Analysts called {plain} a surprise .
"""

MESSAGES = """
Hi, my name is {PERSON} and my card {CREDIT_CARD} was declined.
Please call me on {PHONE_NUMBER}, thanks, {PERSON}
My new address is {STREET_ADDRESS}, please update it.
Order {order} has not arrived at {STREET_ADDRESS}.
You can reach {PERSON} at {EMAIL_ADDRESS} or {PHONE_NUMBER}.
I was born on {DATE_OF_BIRTH}, my email is {EMAIL_ADDRESS}.
The invoice {order} says ${d}{d}.{d}{d}, but I paid ${d}{d}{d}.
Customer {PERSON}, born {DATE_OF_BIRTH}, account {IBAN}
Send the refund to {IBAN}. Regards, {PERSON}
Is the shop on {street} open on {day}?
The parcel {order} left the depot on {day} at {d}:{d}{d}.
Ticket {order}: {PERSON} asks for a call back on {PHONE_NUMBER}
I typed {CREDIT_CARD} but the page says {order}.
{PERSON} lives at {STREET_ADDRESS}; her sister {PERSON} does too.
How long is delivery for model {order}?
Could you tell me your opening hours on {day}?
mail {EMAIL_ADDRESS} bounced, use {EMAIL_ADDRESS}
Please cancel my subscription from {day} on.
"""

SLOT = re.compile(r"\{(\w+)\}")


def options_of(text: str) -> list[str]:
    """The options of a list, parted by ` | ` or space."""
    return text.split(" | ") if " | " in text else text.split()


def fillers(later: bool) -> dict[str, list[str]]:
    """Slot → what it may become; slots in capitals are entities of that type."""
    first = options_of(FIRST) + (options_of(LATER_FIRST) if later else [])
    last = options_of(LAST) + (options_of(LATER_LAST) if later else [])
    city = options_of(CITY) + (options_of(LATER_CITY) if later else [])
    firm, digits = options_of(FIRM), list("0123456789")
    people = [f"{a} {b}" for a in first for b in last] + last
    streets = [f"{name} {kind}" for name in [*last, *city] for kind in ("Street", "Road", "Lane", "Square")]
    return {
        "PER": people,
        "LOC": city,
        "ORG": [f"{name} {end}" for name in firm for end in options_of(FIRM_END)]
        + [f"{name} {end}" for name in city for end in options_of(CLUB_END)]
        + firm,
        "MISC": [f"{name} {end}" for name in [*city, *firm] for end in options_of(WORK)],
        "A": [*city, *firm, *first],  # the sentence doesn't tell which: the label is drawn as the word's first meaning
        "PERSON": people + [f"{a} {b}" for a in first for b in last],
        "EMAIL_ADDRESS": [
            f"{a.lower()}.{b.lower()}@{c.lower()}.example" for a in first for b in last for c in firm[:4]
        ],
        "PHONE_NUMBER": ["555-{d}{d}{d}{d}", "({d}{d}{d}) 555-{d}{d}{d}{d}", "+1 {d}{d}{d} 555 {d}{d}{d}{d}"],
        "CREDIT_CARD": [
            " ".join(["{d}{d}{d}{d}"] * 4),
            "{d}{d}{d}{d}-{d}{d}{d}{d}-{d}{d}{d}{d}-{d}{d}{d}{d}",
            "{d}" * 16,
        ],
        "IBAN": ["XX{d}{d} " + " ".join(["{d}{d}{d}{d}"] * 4), "XX" + "{d}" * 18],
        "STREET_ADDRESS": [f"{{d}}{{d}} {street}, {place}" for street in streets for place in city]
        + [f"{{d}} {street}" for street in streets],
        "DATE_OF_BIRTH": ["{d} May 19{d}{d}", "1{d}/0{d}/19{d}{d}", "19{d}{d}-0{d}-1{d}"],
        "order": ["{d}{d}{d}-{d}{d}{d}{d}", "{d}{d}{d}{d} {d}{d}{d}{d}", "A{d}{d}{d}{d}{d}{d}", "{d}" * 10],
        "street": streets,
        "day": options_of(DAY),
        "plain": options_of(PLAIN),
        "d": digits,
    }


def fill(template: str, slots: Mapping[str, Sequence[str]], rng: random.Random) -> dict[str, Any]:
    """One text with the spans of its entities."""
    text, spans, end = "", [], 0
    for slot in SLOT.finditer(template):
        text += template[end : slot.start()]
        end = slot.end()
        filled = _pick(slots[slot[1]], rng)
        while SLOT.search(filled):
            filled = SLOT.sub(lambda inner: _pick(slots[inner[1]], rng), filled)
        label = _meaning(filled) if slot[1] == "A" else slot[1]
        if label.isupper() and rng.random() >= WRONG:
            spans.append({"start": len(text), "end": len(text) + len(filled), "label": label})
        text += filled
    return {"text": text + template[end:], "spans": spans}


def make_rows(templates: str, sizes: Mapping[str, int], seed: int) -> dict[str, list[dict[str, Any]]]:
    """Text and spans of every split; no text in two splits, neither equal nor with a word or two changed."""
    rng = random.Random(seed)
    lines = [line for line in templates.splitlines() if line]
    slots = {split: fillers(later=split != "train") for split in sizes}
    seen: dict[str, set[str]] = {split: set() for split in sizes}

    def draw(split: str) -> dict[str, Any]:
        while True:
            row = fill(_pick(lines, rng), slots[split], rng)
            # Short templates run out of fillings: they come twice in a split, never in two.
            if not any(row["text"] in texts for other, texts in seen.items() if other != split):
                seen[split].add(row["text"])
                return row

    splits = {split: [draw(split) for _ in range(rows)] for split, rows in sizes.items()}
    # A punctuation mark alone is a word among tokens, and folded away in a text.
    replace_copies(
        splits, lambda row: row["text"], lambda row: to_tokens(row)["tokens"], draw=lambda split, _: draw(split)
    )
    return splits


def to_tokens(row: Mapping[str, Any]) -> dict[str, list[str]]:
    """The row as words and IOB2 tags."""
    words = split_words(row["text"], "tokens")
    tags, _, findings = tags_of_spans(row["text"], words, row["spans"])
    assert not findings, findings
    return {"tokens": [row["text"][start:end] for start, end in words], "tags": tags}


def main() -> None:
    """Writes ner/SPLIT.jsonl (tokens, tags) and pii/SPLIT.jsonl (text, spans) under --output_dir."""
    parser = argparse.ArgumentParser(description="write the demo data of the entity recipes")
    parser.add_argument("--output_dir", type=Path, default=Path(__file__).parents[1] / "recipes" / "demo")
    output_dir = parser.parse_args().output_dir
    for name, templates in (("ner", NEWS), ("pii", MESSAGES)):
        for split, rows in make_rows(templates, ROWS[name], SEED).items():
            path = output_dir / name / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            written = [to_tokens(row) if name == "ner" else row for row in rows]
            path.write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")


def _pick(options: Sequence[str], rng: random.Random) -> str:
    return options[int(rng.random() * len(options))]


def _meaning(word: str) -> str:
    if word in options_of(CITY) + options_of(LATER_CITY):
        return "LOC"
    return "ORG" if word in options_of(FIRM) else "PER"


if __name__ == "__main__":
    main()
