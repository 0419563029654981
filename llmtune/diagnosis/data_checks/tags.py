"""Entities: tags that are none, words and tags of unequal number, broken schemes, types that train never shows."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from llmtune.diagnosis.data_checks.finding import ERROR, OK, WARNING, Finding, Split, of_rows
from llmtune.errors import truncated_repr
from llmtune.text.shorten import join_names
from llmtune.text.spans import span_findings
from llmtune.text.tag_schemes import LETTERS, describe_scheme, detect_scheme, entity_spans, parse_tag

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
    """Which tag scheme the readable rows follow, and the rows that break it."""
    rows = {row: tags for row, tags in readable(split).items() if tags}
    if not rows:
        return []
    used = {tag[0] for tags in rows.values() for tag in tags} - {"O"}
    if not any(used <= set(letters) for letters in LETTERS.values()):
        sentence = f"{split.name} mixes tag schemes: the letters {', '.join(sorted(used))} belong to no one scheme"
        remedy = "write IOB2 throughout: B-X on the first word of an entity, then I-X"
        return [Finding("tags", ERROR, sentence, (), remedy)]
    name, broken = detect_scheme(rows)
    if not broken:
        return [Finding("tags", OK, f"{split.name} follows {name} throughout")]
    places = [
        f"{split.place(row)} word {at + 1}: {rows[row][at]} "
        + (f"after {rows[row][at - 1]}" if at else "at the beginning")
        for row, at in broken.items()
    ]
    sentence = f"not {name}, which most rows follow, in {of_rows(len(places), split)}: {describe_scheme(name)}"
    return [Finding("tags", ERROR, sentence, places, "correct the tags: training requires one valid scheme")]


def types(splits: Sequence[Split]) -> list[Finding]:
    """Entities of each type by split, and types that train never shows."""
    counts = {split.name: count_entities(split) for split in splits if {"tags", "spans"} & set(split.columns)}
    if not counts:
        return []
    lines, findings = [], []
    for name, here in counts.items():
        named = join_names([f"{kind} {n:,}" for kind, n in here.most_common()], MOST_TYPES, "types")
        lines.append(f"{name}: {named or 'none'}")
        for kind in (kind for kind in here if kind not in counts.get("train", here)):
            sentence = (
                f"{here[kind]:,} {name} entities of type {kind!r}, a type that train does not have: all will be missed"
            )
            findings.append(Finding("entities", WARNING, sentence, (), "correct the type, or add such rows to train"))
    none = "train" in counts and not counts["train"]
    remedy = "train on rows with entities; check the columns" if none else ""
    return [Finding("entities", ERROR if none else OK, "\n".join(lines), (), remedy), *findings]


def count_entities(split: Split) -> Counter[str]:
    """Entities by type, of tags or of spans."""
    found: Counter[str] = Counter()
    for tags in readable(split).values():
        found.update(entity.type for entity in entity_spans(tags))
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
