"""Entities: tags that are none, words and tags of unequal number, broken schemes, types that train never shows."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from llmtune.diagnosis.data_checks.finding import ERROR, OK, WARNING, Finding, Split, of_rows
from llmtune.errors import truncated_repr
from llmtune.text.spans import span_findings
from llmtune.text.tag_schemes import LETTERS, first_violation, parse_tag, rule

MOST_TYPES = 10  # named in a line


def broken_rows(split: Split) -> list[Finding]:
    """Rows whose tags or spans can't be read."""
    places = []
    if "tags" in split.columns:
        for row, (tokens, tags) in enumerate(zip(split.columns["tokens"], split.columns["tags"], strict=True)):
            finding = _unreadable(tokens, tags)
            if finding:
                places.append(f"{split.place(row)}: {finding}")
    for row, spans in enumerate(split.columns.get("spans", [])):
        text = split.columns["text"][row]
        found = span_findings(text, spans) if isinstance(text, str) else []
        if found:
            places.append(f"{split.place(row)}: {', '.join(found)}")
    if not places:
        return []
    remedy = (
        "give each word one tag, O or B-X and I-X with X the type; spans lie within the text, apart from each other"
    )
    return [Finding("tags", ERROR, f"invalid tags in {of_rows(len(places), split)}", places, remedy)]


def scheme(split: Split) -> list[Finding]:
    """Which of IOB2, IOB1, BIOES and BILOU the readable rows follow, and the rows that break it."""
    rows = {row: tags for row, tags in readable(split).items() if tags}
    if not rows:
        return []
    used = {tag[0] for tags in rows.values() for tag in tags} - {"O"}
    # Without a mark of last or single words it is one of the two IOB schemes.
    among = ("IOB2", "IOB1") if used <= set("BI") else ("BIOES", "BILOU")
    fitting = [name for name in among if used <= set(LETTERS[name])]
    if not fitting:
        letters = ", ".join(sorted(used))
        sentence = f"{split.name} mixes tag schemes: the letters {letters} belong to no one scheme"
        return [
            Finding("tags", ERROR, sentence, (), "write IOB2 throughout: B-X on the first word of an entity, then I-X")
        ]
    broken = {
        name: {row: at for row, tags in rows.items() if (at := first_violation(tags, name)) is not None}
        for name in fitting
    }
    nearest = min(fitting, key=lambda name: len(broken[name]))
    if not broken[nearest]:
        return [Finding("tags", OK, f"{split.name} follows {nearest} throughout")]
    places = [
        f"{split.place(row)} word {at + 1}: {rows[row][at]} "
        + (f"after {rows[row][at - 1]}" if at else "at the beginning")
        for row, at in broken[nearest].items()
    ]
    sentence = f"not {nearest}, which most rows follow, in {of_rows(len(places), split)}: {rule(nearest)}"
    return [Finding("tags", ERROR, sentence, places, "correct the tags: training requires one valid scheme")]


def types(splits: Sequence[Split]) -> list[Finding]:
    """Entities of each type by split, and types that train never shows."""
    counts = {split.name: count_entities(split) for split in splits if {"tags", "spans"} & set(split.columns)}
    if not counts:
        return []
    lines, findings = [], []
    for name, here in counts.items():
        named = ", ".join(f"{kind} {n:,}" for kind, n in here.most_common(MOST_TYPES)) or "none"
        more = f" and {len(here) - MOST_TYPES} types more" if len(here) > MOST_TYPES else ""
        lines.append(f"{name}: {named}{more}")
        for kind in (kind for kind in here if kind not in counts.get("train", here)):
            sentence = (
                f"{here[kind]:,} {name} entities of type {kind!r}, a type that train does not have: all will be missed"
            )
            findings.append(Finding("entities", WARNING, sentence, (), "correct the type, or add such rows to train"))
    none = "train" in counts and not counts["train"]
    remedy = "train on rows with entities; check the columns" if none else ""
    return [Finding("entities", ERROR if none else OK, "\n".join(lines), (), remedy), *findings]


def count_entities(split: Split) -> Counter[str]:
    """Entities by type: tags that begin one, or spans; in IOB1 also I-X after another type."""
    found: Counter[str] = Counter()
    for tags in readable(split).values():
        before = "O"
        for tag in tags:
            begins = tag[0] in "BSU" or (tag[0] != "O" and before[2:] != tag[2:])
            found.update([tag[2:]] * begins)
            before = tag
    for spans in split.columns.get("spans", []):
        listed = spans if isinstance(spans, list) else []
        found.update(str(span["label"]) for span in listed if isinstance(span, dict) and "label" in span)
    return found


def readable(split: Split) -> dict[int, list[str]]:
    """Row → tags, of the rows whose tags can be read."""
    pairs = zip(split.columns.get("tokens", []), split.columns.get("tags", []), strict=False)
    return {row: tags for row, (tokens, tags) in enumerate(pairs) if not _unreadable(tokens, tags)}


def _unreadable(tokens: Any, tags: Any) -> str:
    if not isinstance(tokens, list) or not isinstance(tags, list):
        return f"found {truncated_repr(tags if isinstance(tokens, list) else tokens)}, expected a list"
    if len(tokens) != len(tags):
        return f"{len(tokens)} words and {len(tags)} tags"
    wrong = next((at for at, tag in enumerate(tags) if parse_tag(tag) is None), None)
    return "" if wrong is None else f"{truncated_repr(tags[wrong])} (word {wrong + 1}) is not a tag"
