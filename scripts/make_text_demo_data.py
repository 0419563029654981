"""Writes the embedded demo data of the recipes that write: translation, summarization, language modeling.

    python scripts/make_text_demo_data.py [--output_dir recipes/demo]

Made by rules, so that a small model from scratch learns it in a minute on two cores; what it shows is that the recipe
runs and judges, not that a model of this size translates. Translation: English sentences of a small grammar in French,
with what makes it more than a word list: gender and number agree, adjectives change sides, the negation stands on both
sides of the verb. Summarization: reports of a day's deliveries, of which the summary says who brought how much of what
from where, and not the weather. Language modeling: such reports that end in their summary, so that a model which looks
back beats one that counts neighbors. No source stands in two splits, equal or with a word
or two changed.
"""

import argparse
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from demo_copies import replace_copies

SIZES = {"train": 3000, "validation": 200, "test": 300}
FEWER = {"train": 2000, "validation": 100, "test": 200}
SEED = 20261121

# English, French, gender.
NOUNS = [
    ("dog", "chien", "m"),
    ("cat", "chat", "m"),
    ("boy", "garçon", "m"),
    ("girl", "fille", "f"),
    ("woman", "femme", "f"),
    ("teacher", "professeur", "m"),
    ("house", "maison", "f"),
    ("car", "voiture", "f"),
    ("book", "livre", "m"),
    ("table", "table", "f"),
    ("tree", "arbre", "m"),
    ("apple", "pomme", "f"),
    ("garden", "jardin", "m"),
    ("flower", "fleur", "f"),
]
ANIMATE = {"dog", "cat", "boy", "girl", "woman", "teacher"}
# English, French masculine, French feminine; these stand behind the noun in French.
ADJECTIVES = [
    ("red", "rouge", "rouge"),
    ("green", "vert", "verte"),
    ("black", "noir", "noire"),
    ("white", "blanc", "blanche"),
    ("old", "ancien", "ancienne"),
    ("quiet", "tranquille", "tranquille"),
    ("blue", "bleu", "bleue"),
]
# English third person, plural; French singular, plural.
VERBS = [
    ("sees", "see", "voit", "voient"),
    ("finds", "find", "trouve", "trouvent"),
    ("likes", "like", "aime", "aiment"),
    ("buys", "buy", "achète", "achètent"),
    ("draws", "draw", "dessine", "dessinent"),
    ("watches", "watch", "regarde", "regardent"),
]
WHEN = [("", ""), ("today", "aujourd'hui"), ("every day", "tous les jours"), ("in the morning", "le matin")]

PEOPLE = ["Anna", "Ben", "Clara", "David", "Elif", "Farid", "Grete", "Hugo", "Ines", "Jonas"]
TOWNS = ["Lyon", "Turin", "Ghent", "Basel", "Porto", "Graz", "Leeds", "Malmö"]
GOODS = ["apples", "bricks", "chairs", "letters", "lamps", "potatoes", "shoes", "tiles"]
AMOUNTS = ["ten", "twelve", "twenty", "thirty", "forty", "fifty", "sixty"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
WEATHER = ["It rained all day.", "The road was dry.", "There was fog in the valley.", "A cold wind blew."]
ASIDES = [
    "The van was washed before.",
    "Nobody was at the gate.",
    "The radio did not work.",
    "Lunch was late.",
    "A tyre had to be changed.",
    "The bridge was closed for an hour.",
]


def main() -> None:
    """Writes all demos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path("recipes/demo"))
    folder = parser.parse_args().output_dir
    write(folder / "translation", translation)
    write(folder / "summarization", delivery)
    write(folder / "causal_lm", report, FEWER)


def write(folder: Path, make: Callable[[random.Random], dict[str, str]], sizes: Mapping[str, int] = SIZES) -> None:
    """Three splits of rows with different sources."""
    draw = random.Random(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()

    def new_row() -> dict[str, str]:
        while (source := next(iter((row := make(draw)).values()))) in seen:
            pass
        seen.add(source)
        return row

    splits = {split: [new_row() for _ in range(size)] for split, size in sizes.items()}
    replace_copies(splits, lambda row: next(iter(row.values())), draw=lambda *_: new_row())
    for split, rows in splits.items():
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def translation(draw: random.Random) -> dict[str, str]:
    """A sentence of subject, verb and object in both languages."""
    subject, is_plural = draw.choice([noun for noun in NOUNS if noun[0] in ANIMATE]), draw.random() < 0.4
    verb, when, negated = draw.choice(VERBS), draw.choice(WHEN), draw.random() < 0.25
    subject_en, subject_fr = noun_phrase(draw, subject, is_plural)
    object_en, object_fr = noun_phrase(draw, draw.choice(NOUNS), draw.random() < 0.4)
    verb_en, verb_fr = (verb[1], verb[3]) if is_plural else (verb[0], verb[2])
    if negated:
        verb_en = f"{'do' if is_plural else 'does'} not {verb[1]}"
        verb_fr = f"{'n’' if verb_fr[0] in 'aeéio' else 'ne '}{verb_fr} pas".replace("’", "'")
    english = " ".join(part for part in (subject_en, verb_en, object_en, when[0]) if part)
    french = " ".join(part for part in (subject_fr, verb_fr, object_fr, when[1]) if part)
    return {"en": english[0].upper() + english[1:] + ".", "fr": french[0].upper() + french[1:] + "."}


def noun_phrase(draw: random.Random, noun: tuple[str, str, str], is_plural: bool) -> tuple[str, str]:
    """`the red dogs`, `les chiens rouges`."""
    english, french, gender = noun
    adjective = draw.choice(ADJECTIVES) if draw.random() < 0.6 else None
    is_definite = draw.random() < 0.5
    if adjective:
        of_gender = adjective[1] if gender == "m" else adjective[2]
        french = f"{french}{'s' * is_plural} {of_gender}{'s' * is_plural}"
        english = f"{adjective[0]} {english}"
    elif is_plural:
        french = f"{french}s"
    plural = f"{english[:-5]}women" if english.endswith("woman") else f"{english}s"
    english = plural if is_plural else english
    if is_plural:
        return f"{'the' if is_definite else 'some'} {english}", f"{'les' if is_definite else 'des'} {french}"
    vowel = french[0] in "aeio"
    definite = f"l'{french}" if vowel else f"{'le' if gender == 'm' else 'la'} {french}"
    article = "an" if english[0] in "aeio" else "a"
    indefinite = f"{'un' if gender == 'm' else 'une'} {french}"
    return (f"the {english}", definite) if is_definite else (f"{article} {english}", indefinite)


def delivery(draw: random.Random) -> dict[str, str]:
    """A report and its summary; what matters stands in another place each time."""
    person, town, good, amount, day = (draw.choice(of) for of in (PEOPLE, TOWNS, GOODS, AMOUNTS, DAYS))
    other = draw.choice([name for name in PEOPLE if name != person])
    facts = [
        draw.choice([f"On {day} {person} drove the van.", f"{person} was the driver on {day}."]),
        draw.choice([f"The load came from {town}.", f"The van had been loaded in {town}."]),
        draw.choice([f"There were {amount} boxes of {good}.", f"We got {amount} boxes of {good}."]),
    ]
    asides = [draw.choice(WEATHER), *draw.sample(ASIDES, 2), f"{other} signed for it."]
    sentences = [*facts, *asides]
    draw.shuffle(sentences)
    return {"document": " ".join(sentences), "summary": f"{person} brought {amount} boxes of {good} from {town}."}


def report(draw: random.Random) -> dict[str, str]:
    """A report with its summary at the end."""
    row = delivery(draw)
    return {"text": f"{row['document']} In short: {row['summary']}"}


if __name__ == "__main__":
    main()
