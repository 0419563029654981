"""Measures the diagnosis: how often it fails clean tables, and how often it finds a planted fault.

    python scripts/gauntlet.py [--cases 1000] [--seed 12345]

Draws that many clean tables and as many with one planted fault, of all checks, strengths and sizes, and prints the
rates; then tables that another tool would have written wrong. Asked: a gating failure on at most 1 % of clean tables,
strong faults found in at least 99 %, every wrong table seen.
"""

import argparse
import json
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from llmtune.diagnosis.check import FAIL, NOT_ENOUGH_DATA
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.leakage import Examples
from llmtune.diagnosis.saved_model import Rescored
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.verdict import NOT_READY
from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.predictions import Predictions, make_predictions, read_predictions

TRIALS = 100  # of each kind of wrong table
STRENGTHS = {"strong": 1.0, "moderate": 0.5, "weak": 0.2}
Draw = np.random.Generator


def classes(
    draw: Draw,
    n: int,
    shares: Sequence[float] | np.ndarray,
    skill: np.ndarray | float,
    *,
    cold: float = 1.0,
    flips: float = 0.0,
) -> Predictions:
    """A calibrated model: logits are normal about `skill` for the true class, probabilities its exact posterior.

    Args:
        draw: of random numbers.
        n: rows.
        shares: of the classes.
        skill: distance of the true class's logit, one for all rows or one each.
        cold: temperature; below 1 the model is too sure.
        flips: share of rows whose reference is another class than the truth.
    """
    c = len(shares)
    truth = draw.choice(c, n, p=np.asarray(shares) / np.sum(shares))
    reach = np.broadcast_to(np.asarray(skill, dtype=np.float64), n)[:, None]
    signal = draw.normal(size=(n, c)) + reach * np.eye(c)[truth]
    log = (reach * signal + np.log(np.asarray(shares) / np.sum(shares))) / cold
    probabilities = np.exp(log - log.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    reference = np.where(draw.random(n) < flips, (truth + draw.integers(1, c, n)) % c, truth)
    return table_of(reference, probabilities.argmax(axis=1), probabilities, draw)


def table_of(
    reference: np.ndarray, prediction: np.ndarray, probabilities: np.ndarray | None, draw: Draw
) -> Predictions:
    """With lengths and a group that mean nothing."""
    n, c = len(reference), int(max(reference.max(), prediction.max())) + 1
    c = c if probabilities is None else probabilities.shape[1]
    names = [f"class {i}" for i in range(c)]
    columns: dict[str, Any] = {"reference": [names[i] for i in reference], "prediction": [names[i] for i in prediction]}
    if probabilities is not None:
        columns["probabilities"] = probabilities
    carried = {
        "length": draw.lognormal(3, 0.6, n).astype(int) + 1,
        "group": draw.choice([f"group {i}" for i in range(int(draw.integers(2, 9)))], n),
    }
    return make_predictions("classification", columns, carried=carried, label_names=names)


def texts(draw: Draw, n: int) -> list[str]:
    """Of 8 to 20 words, frequent ones more often."""
    words = np.minimum(draw.zipf(1.3, size=(n, 20)), 20_000)
    lengths = draw.integers(8, 21, n)
    return [" ".join(f"w{word}" for word in row[:length]) for row, length in zip(words, lengths, strict=True)]


def written(draw: Draw, n: int, spoil: Callable[[str, str], str] | None = None, share: float = 0.0) -> Predictions:
    """Texts near their references; `share` of them replaced, from (prediction, source)."""
    source, reference = texts(draw, n), texts(draw, n)
    prediction = [" ".join(w if draw.random() < 0.8 else f"x{draw.integers(99)}" for w in t.split()) for t in reference]
    if spoil is not None:
        hit = draw.random(n) < share
        prediction = [spoil(p, s) if is_hit else p for p, s, is_hit in zip(prediction, source, hit, strict=True)]
    columns = {"source": source, "reference": reference, "prediction": prediction}
    return make_predictions("text-generation", columns)


def tagged(draw: Draw, n: int, recall: float) -> Predictions:
    """Sentences with one name each, found this often, and now and then one invented."""
    kinds = draw.choice(["PER", "ORG"], n)
    reference = [["O", f"B-{kind}", f"I-{kind}", "O", "O"] for kind in kinds]
    found = draw.random(n) < recall
    prediction = [tags if ok else ["O"] * 5 for tags, ok in zip(reference, found, strict=True)]
    return make_predictions("token-classification", {"reference": reference, "prediction": prediction})


def log_of(losses: Sequence[float], train: Sequence[float], hits: Sequence[int], rows: int = 500) -> TrainingLog:
    """Curves of a run whose last weights were kept."""
    entries = []
    for i, (loss, of_train, hit) in enumerate(zip(losses, train, hits, strict=True)):
        validation = {"loss": loss, "hits": hit, "rows": rows, "rise": loss - min(losses[: i + 1]), "rise_error": 0.008}
        sample = {"loss": of_train, "hits": int(rows * np.exp(-of_train)), "rows": rows}
        entries.append({"step": 100 * (i + 1), "epoch": i + 1.0, "train": sample, "validation": validation})
    return TrainingLog(entries)


def clean(draw: Draw) -> Context:
    """A good model of any kind, whose targets, where some are set, it meets with room."""
    n = int(draw.choice([200, 500, 1_500, 4_000]))
    kind = draw.choice(["classes", "classes", "classes", "tags", "texts", "perplexity", "numbers"])
    if kind == "tags":
        return Context(tagged(draw, n, draw.uniform(0.75, 0.98)), slice_columns=())
    if kind == "texts":
        return Context(written(draw, min(n, 500)), base=None)
    if kind == "perplexity":
        nll, tokens = draw.gamma(20, 3, n), draw.integers(10, 40, n)
        return Context(make_predictions("language-modeling", {"nll": nll, "tokens": tokens}))
    if kind == "numbers":
        truth = draw.normal(size=n)
        columns = {"reference": truth, "prediction": truth + draw.normal(size=n) * 0.4}
        persisted = make_predictions("regression", {"reference": truth, "prediction": np.roll(truth, 1)})
        return Context(make_predictions("regression", columns), baselines={"persistence": persisted})
    c = int(draw.choice([2, 2, 3, 6]))
    shares = draw.dirichlet(np.full(c, 8.0)) + 0.05
    skill = draw.uniform(2.2, 4.0)
    table = classes(draw, n, shares, skill)
    targets = read_targets("accuracy>=0.5") if draw.random() < 0.5 else ()
    # The weaker model of the same rows gets part of its answers wrong that ours has right.
    names = np.array(table.label_names)
    wrong = draw.random(n) < 0.1
    other = np.where(wrong, names[draw.integers(0, c, n)], np.array(table.column("prediction")))
    weaker = make_predictions(
        "classification",
        {"reference": table.column("reference"), "prediction": other.tolist()},
        label_names=table.label_names,
    )
    falling = 0.9 * np.exp(-np.arange(5) / 2) + 0.1
    log = log_of((falling + draw.normal(size=5) * 0.004).tolist(), (falling * 0.9).tolist(), [400, 420, 440, 450, 455])
    examples = {}
    if n <= 500:
        examples = {"train": Examples(texts(draw, 2 * n)), "test": Examples(texts(draw, n))}
    return Context(
        table,
        validation=classes(draw, 300, shares, skill),
        targets=targets,
        baselines={"weaker": weaker},
        base=weaker,
        training=log,
        examples=examples,
        group_columns=("group",),
        rescored=rescored(draw, table, rounding=1e-6),
    )


def hidden_class(draw: Draw, strength: float) -> Context:
    """A rare class of which less than half is found; the strength counts from there, 12 % at its greatest."""
    n = int(draw.choice([1_500, 4_000]))
    truth = draw.random(n) < draw.uniform(0.03, 0.08)
    said = np.where(truth, draw.random(n) < 0.5 - 0.38 * strength, draw.random(n) < 0.002)
    return Context(table_of(truth.astype(int), said.astype(int), None, draw))


def missed_target(draw: Draw, strength: float) -> Context:
    """A recall that was demanded to be 0.95 and is not."""
    n = int(draw.choice([600, 2_000]))
    truth = draw.random(n) < 0.4
    said = np.where(truth, draw.random(n) < 0.95 - 0.3 * strength, draw.random(n) < 0.05)
    return Context(
        table_of(truth.astype(int), said.astype(int), None, draw), targets=read_targets("recall[class 1]>=0.95")
    )


def leaked(draw: Draw, strength: float) -> Context:
    """Test rows that stand in train, and are known by heart."""
    n = int(draw.choice([400, 800]))
    copied = draw.random(n) < 0.4 * strength
    table = classes(draw, n, [0.5, 0.5], np.where(copied, 6.0, 1.2))
    test = texts(draw, n)
    train = [*texts(draw, n), *(text for text, is_copy in zip(test, copied, strict=True) if is_copy)]
    return Context(table, examples={"train": Examples(train), "test": Examples(test)})


def overfitted(draw: Draw, strength: float) -> Context:
    """A validation loss that rises while that of train goes to nothing."""
    table = classes(draw, 500, [0.5, 0.5], 2.5)
    risen = 0.4 * np.array([1.4, 1.0, 1 + 0.5 * strength, 1 + strength, 1 + 1.5 * strength])
    training = log_of(risen.tolist(), [0.5, 0.35, 0.15, 0.05, 0.01], [380, 410, 405, 400, 395])
    return Context(table, training=training)


def long_texts(draw: Draw, strength: float) -> Context:
    """The longest fifth is served worse."""
    n = int(draw.choice([1_000, 3_000]))
    length = draw.lognormal(3, 0.6, n).astype(int) + 1
    skill = np.where(length > np.quantile(length, 0.8), 3.0 - 2.4 * strength, 3.0)
    return Context(_with(classes(draw, n, [0.5, 0.5], skill), "length", length))


def unfair(draw: Draw, strength: float) -> Context:
    """One group of three to six is served worse."""
    n = int(draw.choice([1_500, 4_000]))
    group = draw.integers(0, draw.integers(3, 7), n)
    table = classes(draw, n, [0.5, 0.5], np.where(group == 1, 3.0 - 2.4 * strength, 3.0))
    return Context(_with(table, "group", [f"group {i}" for i in group]), group_columns=("group",))


def too_sure(draw: Draw, strength: float) -> Context:
    """Probabilities nearer to 0 and 1 than they come true."""
    return Context(classes(draw, int(draw.choice([500, 2_000])), [0.5, 0.5], 1.4, cold=1 / (1 + 3 * strength)))


def bad_threshold(draw: Draw, strength: float) -> Context:
    """A threshold that loses on test."""
    table = classes(draw, 1_500, [0.7, 0.3], 2.5)
    threshold = 0.5 + 0.49 * strength
    said = [table.label_names[int(p >= threshold)] for p in table.probabilities()[:, 1]]
    return Context(replace(_with(table, "prediction", said), threshold=threshold), objective="f1")


def noisy_labels(draw: Draw, strength: float) -> Context:
    """Labels that are wrong."""
    return Context(classes(draw, int(draw.choice([800, 3_000])), [0.5, 0.5], 3.5, flips=0.12 * strength))


def broken_numbers(draw: Draw, strength: float) -> Context:
    """Rows of NaN."""
    table = classes(draw, 500, [0.5, 0.5], 3.0)
    probabilities = table.probabilities()
    probabilities[: max(1, int(50 * strength))] = np.nan
    return Context(_with(table, "probabilities", list(probabilities)))


def _outdone(draw: Draw, strength: float) -> tuple[Predictions, Predictions]:
    """A table, and one of the same rows that is more often right."""
    n = int(draw.choice([1_000, 3_000]))
    better = classes(draw, n, [0.6, 0.4], 3.0)
    names = better.label_names
    other = [
        names[1 - names.index(label)] if draw.random() < 0.15 * strength else label
        for label in better.column("prediction")
    ]
    return _with(_without(better, "probabilities"), "prediction", other), better


def losing(draw: Draw, strength: float) -> Context:
    """TF-IDF is better."""
    ours, better = _outdone(draw, strength)
    return Context(ours, baselines={"TF-IDF": better})


def worse(draw: Draw, strength: float) -> Context:
    """The base was better."""
    ours, better = _outdone(draw, strength)
    return Context(ours, base=better)


def degenerate(draw: Draw, strength: float) -> Context:
    """Texts that are no answer."""
    spoils: list[Callable[[str, str], str]] = [
        lambda said, source: "",
        lambda said, source: "the the the the the the",
        lambda said, source: source,
        lambda said, source: "I am sorry",
    ]
    spoil = spoils[int(draw.integers(len(spoils)))]
    return Context(written(draw, int(draw.choice([100, 400])), spoil, 0.3 * strength))


def alone(draw: Draw, strength: float) -> Context:
    """A perplexity without a task."""
    columns = {"nll": draw.gamma(20, 3, 100), "tokens": draw.integers(10, 40, 100)}
    return Context(make_predictions("language-modeling", columns))


def rescored(draw: Draw, table: Predictions, rounding: float) -> Rescored:
    """The table as another model says it, whose logits are off by about `rounding`."""
    logits = np.log(table.probabilities()) + draw.normal(size=(len(table), len(table.label_names))) * rounding
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    again = _with(table, "probabilities", list(probabilities))
    predicted = [table.label_names[i] for i in probabilities.argmax(axis=1)]
    return Rescored(table, _with(again, "prediction", predicted), 1e-3, len(table))


def other_model(draw: Draw, strength: float) -> Context:
    """A saved model whose logits are off by a twentieth: a weight that was rounded to 8 bits."""
    table = classes(draw, int(draw.choice([200, 1_000])), [0.5, 0.3, 0.2], 3.0)
    return Context(table, rescored=rescored(draw, table, 0.05 * strength))


def few_rows(draw: Draw, strength: float) -> Context:
    """Rows that can't decide anything."""
    return Context(classes(draw, int(10 + 40 * (1 - strength)), [0.7, 0.3], 3.0))


FAULTS: dict[str, Callable[[Draw, float], Context]] = {
    "accuracy_paradox": hidden_class,
    "targets": missed_target,
    "leakage": leaked,
    "overfitting": overfitted,
    "length": long_texts,
    "fairness": unfair,
    "calibration": too_sure,
    "threshold": bad_threshold,
    "label_noise": noisy_labels,
    "numerics": broken_numbers,
    "baseline": losing,
    "worse_than_base": worse,
    "degenerate_output": degenerate,
    "perplexity_alone": alone,
    "evidence": few_rows,
    "saved_model": other_model,
}
FOUND = {"perplexity_alone": NOT_ENOUGH_DATA, "evidence": NOT_ENOUGH_DATA}  # else the check fails


def _with(table: Predictions, name: str, values: Any) -> Predictions:
    import pyarrow as pa

    position = table.table.column_names.index(name)
    return replace(table, table=table.table.set_column(position, name, pa.array(values)))


def _without(table: Predictions, name: str) -> Predictions:
    return replace(table, table=table.table.drop_columns([name]))


def false_alarm(seed: int) -> list[str]:
    """The failing checks of a clean case that is called not ready."""
    verdict = diagnose(clean(np.random.default_rng(seed)))
    return [check.check for check in verdict.deciding] if verdict.verdict == NOT_READY else []


def is_found(seed: int, check: str, strength: str) -> bool:
    """Whether the check names the fault that was planted for it."""
    case = FAULTS[check](np.random.default_rng(seed), STRENGTHS[strength])
    status = next(one.status for one in diagnose(case).checks if one.check == check)
    return status == FOUND.get(check, FAIL)


def swapped_probabilities(draw: Draw, file: Path) -> bool:
    """A file whose probabilities stand in the reverse order of its labels is refused."""
    table = classes(draw, int(draw.integers(60, 600)), [0.6, 0.4], 2.5)
    return _is_refused(_with(table, "probabilities", [row[::-1] for row in table.column("probabilities")]), file)


def spelled_otherwise(draw: Draw, file: Path) -> bool:
    """A file whose predictions spell the labels in another case, with a space or as 1.0 for 1 is refused."""
    table = classes(draw, int(draw.integers(60, 600)), [0.6, 0.4], 2.5)
    spell: Callable[[str], str] = (str.upper, lambda name: f" {name}", lambda name: name[-1] + ".0")[draw.integers(3)]
    if spell("a0") == "0.0":
        table = _with(table, "reference", [name[-1] for name in table.column("reference")])
    spelled = _with(table, "prediction", [spell(name) for name in table.column("prediction")])
    return _is_refused(_without(spelled, "probabilities"), file)


def never_found(draw: Draw, file: Path) -> bool:
    """A model that never predicts one of two classes is not ready, however right it is on the other."""
    n = int(draw.integers(800, 4_000))
    reference = (draw.random(n) < draw.uniform(0.05, 0.3)).astype(int)
    prediction = np.where(draw.random(n) < 0.01, 1 - reference, 0) * (1 - reference)
    return diagnose(Context(table_of(reference, prediction, None, draw))).verdict == NOT_READY


def copied_metric(draw: Draw, file: Path) -> bool:
    """A metric of somebody else's that is called as one of ours stands beside it, not in its place."""

    def f1(predictions: Sequence[int], references: Sequence[int]) -> float:
        return 1.0

    table = classes(draw, 300, [0.6, 0.4], 1.5)
    ours, both = (score_predictions(table, metrics=more)["f1"].value for more in ((), (f1,)))
    return ours == both != 1.0


WRONG = (swapped_probabilities, spelled_otherwise, never_found, copied_metric)


def _is_refused(table: Predictions, file: Path) -> bool:
    rows = table.table.select([name for name in ("reference", "prediction", "probabilities") if table.has(name)])
    file.write_text("\n".join(map(json.dumps, rows.to_pylist())))
    try:
        read_predictions(file, kind=table.kind)
    except InputError:
        return True
    return False


def main() -> None:
    """Draws, judges, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1_000, help="clean tables, and as many faulty ones")
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one")
    options = parser.parse_args()
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    start = time.perf_counter()
    alarms = [found for i in range(options.cases) if (found := false_alarm(seed + i))]
    print(f"seed {seed}")
    print(f"clean: {len(alarms)} of {options.cases} called not ready ({len(alarms) / options.cases:.2%})")
    for check, times in Counter(check for found in alarms for check in found).most_common():
        print(f"  {check}: {times}")
    drawn, named = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    names = list(FAULTS)
    for i in range(options.cases):
        # Half of the faulty tables are strong; each check has its turn.
        strength = ("strong", "moderate", "strong", "weak")[i // len(names) % 4]
        key = (names[i % len(names)], strength)
        drawn[key] += 1
        named[key] += is_found(seed + i, *key)
    for strength in STRENGTHS:
        of = sum(n for (_, s), n in drawn.items() if s == strength)
        hits = sum(n for (_, s), n in named.items() if s == strength)
        print(f"{strength} faults: {hits} of {of} found ({hits / max(1, of):.2%})")
        for name in names:
            if named[name, strength] < drawn[name, strength]:
                print(f"  {name}: {named[name, strength]} of {drawn[name, strength]}")
    with tempfile.TemporaryDirectory() as folder:
        for fault in WRONG:
            seen = sum(fault(np.random.default_rng(seed + i), Path(folder) / "a.jsonl") for i in range(TRIALS))
            print(f"{fault.__name__}: {seen} of {TRIALS} seen")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
