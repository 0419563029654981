"""How often the nominal 95 % intervals hold the true value, over a grid of sizes, rates and balances.

    python scripts/coverage.py [--simulations 400] [--seed 0] [--metrics f1 mcc]

Each cell draws test sets from a known population, computes the interval as a report does, and counts how often it holds
the population's value. Cells with fewer than 10 expected hits, and draws below the evidence floor (where no interval is
given), don't count. Expected: mean 94 to 96 %, no cell below 90 %. Exits 1 where that fails. A cell below is drawn anew
ten times as often, and that counts: chance puts some of a thousand cells there that cover 93 %. Not among the cells are
squared lognormal errors, of which no method is known to hold: 100 to 1,000 rows cover 87 to 94 %.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from scipy import special

from llmtune.metrics.core.base import Metric, MetricContext, SufficientStatistics
from llmtune.metrics.core.registry import named_metrics, reported_metrics
from llmtune.metrics.entity_f1 import EntityCounts
from llmtune.stats import ConfidenceInterval

SIZES, BALANCES, RECALLS, FALSE_ALARMS = (200, 1000, 5000), (0.05, 0.2, 0.5), (0.4, 0.8, 0.95), (0.02, 0.1)
BINARY = (
    *("accuracy", "recall", "precision", "f1", "f1_macro", "f1_weighted", "mcc", "cohen_kappa"),
    *("precision_macro", "recall_macro", "balanced_accuracy"),
)
NEVER_FOUND = ((400, 0.1, 0.03), (400, 0.1, 0.1), (1000, 0.1, 0.01))  # n, balance, recall of a class hardly ever found
OF_ALL_CLASSES = ("f1_macro", "recall_macro", "balanced_accuracy", "mcc", "cohen_kappa")
ORDERED = ("qwk", "steps_off")
NUMBERS = ("mse", "rmse", "mae", "r2", "pearson", "spearman")
LAWS = ("normal", "stars", "skewed", "lognormal", "far errors")
OF_LOGNORMAL = ("mae", "r2", "pearson", "spearman")  # the mean of their squared errors is not known from 1,000 rows
GAPS = (1.5, 3.0, 4.5)  # of the logits of several labels; at the last hardly a row is wrong
LABEL_SHARES = ((0.4, 0.35, 0.3, 0.25, 0.2), (0.5, 0.3, 0.2, 0.1, 0.05))
OF_LABEL_SETS = (
    *("f1_micro", "f1_macro", "f1_weighted", "f1_samples", "precision_micro", "recall_micro", "precision_macro"),
    *("recall_macro", "subset_accuracy", "hamming_loss", "jaccard_samples", "lrap", "average_precision_macro"),
    "roc_auc_macro",
)
LEAST = 0.90  # of a cell
Cell = tuple[str, str, float, Callable[[np.random.Generator], ConfidenceInterval]]


def binary_cells() -> Iterator[Cell]:
    """Two classes: what the confusion matrix tells."""
    setting = MetricContext("classification", ("ham", "spam"), 1)
    metrics = [metric for name in BINARY for metric in named_metrics(name, setting) if metric.name == name]
    usual = (cell for cell in itertools.product(SIZES, BALANCES, RECALLS, FALSE_ALARMS) if np.prod(cell[:3]) >= 10)
    for n, balance, recall, alarms in (*usual, *((*cell, 0.014) for cell in NEVER_FOUND)):
        shares = np.array(
            [(1 - balance) * (1 - alarms), (1 - balance) * alarms, balance * (1 - recall), balance * recall]
        )
        for metric in metrics:
            if (n, balance, recall) in NEVER_FOUND and metric.name not in OF_ALL_CLASSES:
                continue
            truth = float(metric.score(shares.reshape(1, 2, 2) * 1e9)[0])
            where = f"n={n} positives={balance:.0%} recall={recall} false alarms={alarms}"
            yield metric.name, where, truth, partial(of_matrix, metric=metric, n=n, shares=shares)


def of_matrix(rng: np.random.Generator, *, metric: Metric, n: int, shares: np.ndarray) -> ConfidenceInterval:
    """The interval of one test set of n rows."""
    matrix = rng.multinomial(n, shares).reshape(1, 2, 2)
    if metric.undefined(matrix[0]):
        return ConfidenceInterval(None, None, "undefined")
    return metric.interval(SufficientStatistics(matrix, int(rng.integers(2**31))))


def ranked_cells() -> Iterator[Cell]:
    """Two normal distributions of the logit: ranks and probabilities."""
    setting = MetricContext("classification", ("ham", "spam"), 1)
    for n, balance, gap in itertools.product(SIZES[:2], (0.2, 0.5), (1.0, 2.5)):
        for name in ("roc_auc", "average_precision", "log_loss", "brier"):
            metric = named_metrics(name, setting)[0]
            columns = drawn(np.random.default_rng(1), 2_000_000, balance, gap)
            statistics = metric.statistics(columns)
            truth = metric.value(metric.aggregate(statistics))
            assert truth is not None
            yield (
                name,
                f"n={n} positives={balance:.0%} gap={gap}",
                truth,
                partial(of_columns, metric=metric, n=n, balance=balance, gap=gap),
            )


def drawn(rng: np.random.Generator, n: int, balance: float, gap: float) -> dict[str, np.ndarray]:
    """Columns of a classifier whose logit is normal, `gap` deviations higher for positives."""
    reference = (rng.random(n) < balance).astype(np.int64)
    p = special.expit(rng.normal(size=n) + gap * (reference - 0.5) + np.log(balance / (1 - balance)))
    return {"reference": reference, "probabilities": np.stack([1 - p, p], axis=1)}


def of_columns(rng: np.random.Generator, *, metric: Metric, n: int, balance: float, gap: float) -> ConfidenceInterval:
    """The interval of one test set of n rows."""
    return metric.interval(SufficientStatistics(metric.statistics(drawn(rng, n, balance, gap)), 0))


def label_set_cells() -> Iterator[Cell]:
    """Rows with several of five labels, which go together, as do the errors of a row."""
    names = tuple(f"label {place}" for place in range(5))
    setting = MetricContext("multilabel-classification", names)
    for (shares, gap), n in itertools.product(itertools.product(LABEL_SHARES, GAPS), SIZES[:2]):
        population = drawn_sets(np.random.default_rng(1), 500_000, shares, gap)
        for name in OF_LABEL_SETS:
            metric = next(metric for metric in reported_metrics(setting) if metric.name == name)
            truth = metric.value(metric.aggregate(metric.statistics(population)))
            assert truth is not None
            where = f"n={n} shares={shares[-1]:.0%} to {shares[0]:.0%} gap={gap}"
            yield f"{name} of sets", where, truth, partial(of_sets, metric=metric, n=n, shares=shares, gap=gap)


def drawn_sets(rng: np.random.Generator, n: int, shares: tuple[float, ...], gap: float) -> dict[str, np.ndarray]:
    """Columns of a classifier of several labels: each logit `gap` higher where the row has the label."""
    c = len(shares)
    latent = 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, c))
    reference = latent > -special.ndtri(np.array(shares))
    errors = 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, c))
    probabilities = special.expit(errors + gap * (reference - 0.5))
    return {"reference": reference, "prediction": probabilities >= 0.5, "probabilities": probabilities}


def of_sets(
    rng: np.random.Generator, *, metric: Metric, n: int, shares: tuple[float, ...], gap: float
) -> ConfidenceInterval:
    """The interval of one test set of n rows."""
    statistics = metric.statistics(drawn_sets(rng, n, shares, gap))
    if metric.undefined(metric.aggregate(statistics)):
        return ConfidenceInterval(None, None, "undefined")
    return metric.interval(SufficientStatistics(statistics, int(rng.integers(2**31))))


def clustered_cells() -> Iterator[Cell]:
    """Entities in sentences that are easy or hard as a whole, and nats of documents of unequal length."""
    counts = EntityCounts(("PER",), "IOB2")
    entity = next(
        m
        for m in named_metrics(
            "entity_f1", MetricContext("token-classification", counts.types, options={"scheme": "IOB2"})
        )
    )
    for n, per_sentence, skill in itertools.product((100, 400), (0.5, 2.0), (0.5, 0.9)):
        # Recall is Beta with mean `skill` by sentence; false alarms come on top: the truth is a ratio of means.
        truth = 2 * skill * per_sentence / (per_sentence * (1 + skill) + 0.1)
        where = f"sentences={n} entities={per_sentence} recall={skill}"
        yield (
            "entity_f1",
            where,
            truth,
            partial(of_entities, metric=entity, n=n, per_sentence=per_sentence, skill=skill),
        )
    for n in (50, 200, 1000):
        yield "perplexity", f"documents={n}", float(np.exp(3.0)), partial(of_documents, n=n)


def of_entities(
    rng: np.random.Generator, *, metric: Metric, n: int, per_sentence: float, skill: float
) -> ConfidenceInterval:
    """The interval of one test set of n sentences."""
    gold = rng.poisson(per_sentence, n)
    right = rng.binomial(gold, rng.beta(4 * skill, 4 * (1 - skill), n))
    predicted = right + rng.poisson(0.1, n)
    return metric.interval(
        SufficientStatistics(
            np.stack([right, gold, predicted], axis=1)[:, None].astype(float), int(rng.integers(2**31))
        )
    )


def of_documents(rng: np.random.Generator, *, n: int) -> ConfidenceInterval:
    """The interval of one test set of n documents, 3 nats a token with a spread between documents."""
    metric = named_metrics("perplexity", MetricContext("language-modeling"))[0]
    tokens = rng.integers(50, 500, n)
    return metric.interval(
        SufficientStatistics(
            np.stack([tokens * (3 + 0.4 * rng.normal(size=n)), tokens], axis=1), int(rng.integers(2**31))
        )
    )


def ordered_cells() -> Iterator[Cell]:
    """Five classes in an order: the model sees the place of a row with an error, and rounds."""
    setting = MetricContext("classification", ("1", "2", "3", "4", "5"))
    metrics = [metric for name in ORDERED for metric in named_metrics(name, setting)]
    for n, error, rare in itertools.product(SIZES, (0.5, 1.0, 2.0), (False, True)):
        shares = ordered_shares(error, rare)
        for metric in metrics:
            truth = float(metric.score(shares[None] * 1e9)[0])
            where = f"n={n} error={error} {'few in the middle' if rare else 'even'}"
            yield metric.name, where, truth, partial(of_ordered, metric=metric, n=n, shares=shares)


def ordered_shares(error: float, rare: bool) -> np.ndarray:
    """Shares (5, 5) of a model whose error is normal, of so many classes."""
    balance = np.array([0.4, 0.1, 0.1, 0.1, 0.3]) if rare else np.full(5, 0.2)
    borders = np.concatenate([[-np.inf], np.arange(4) + 0.5, [np.inf]])
    below = special.ndtr((borders[None, :] - np.arange(5)[:, None]) / error)
    return balance[:, None] * np.diff(below, axis=1)


def of_ordered(rng: np.random.Generator, *, metric: Metric, n: int, shares: np.ndarray) -> ConfidenceInterval:
    """The interval of one test set of n rows."""
    matrix = rng.multinomial(n, shares.ravel()).reshape(1, 5, 5)
    return metric.interval(SufficientStatistics(matrix, int(rng.integers(2**31))))


def number_cells() -> Iterator[Cell]:
    """Scores of texts and their predictions: normal, of five stars, skewed, lognormal, with far errors."""
    setting = MetricContext("regression")
    metrics = [named_metrics(name, setting)[0] for name in NUMBERS]
    for law, likeness in itertools.product(LAWS, (0.0, 0.6, 0.9)):
        population = scores_drawn(np.random.default_rng(1), 2_000_000, law, likeness)
        truths = {metric.name: metric.value(metric.aggregate(metric.statistics(population))) for metric in metrics}
        for n, metric in itertools.product((100, 300, 1000), metrics):
            truth = truths[metric.name]
            assert truth is not None
            if law == "lognormal" and metric.name not in OF_LOGNORMAL:
                continue
            where = f"n={n} {law} correlation={likeness}"
            yield metric.name, where, truth, partial(of_scores, metric=metric, n=n, law=law, likeness=likeness)


def scores_drawn(rng: np.random.Generator, n: int, law: str, likeness: float) -> dict[str, np.ndarray]:
    """Columns of a model whose predictions correlate so much with the references, before those get their law."""
    reference, noise = rng.normal(size=(2, n))
    prediction = likeness * reference + np.sqrt(1 - likeness**2) * noise
    if law == "stars":
        reference, prediction = np.clip(np.round(3 + 1.2 * reference), 1, 5), np.clip(3 + 1.2 * prediction, 1, 5)
    elif law == "skewed":
        reference, prediction = np.exp(reference / 2), np.exp(prediction / 2)
    elif law == "lognormal":
        reference, prediction = np.exp(reference), np.exp(prediction)
    elif law == "far errors":
        prediction = prediction / np.sqrt(rng.chisquare(8, n) / 8)
    return {"reference": reference[:, None], "prediction": prediction[:, None]}


def of_scores(rng: np.random.Generator, *, metric: Metric, n: int, law: str, likeness: float) -> ConfidenceInterval:
    """The interval of one test set of n rows."""
    statistics = metric.statistics(scores_drawn(rng, n, law, likeness))
    return metric.interval(SufficientStatistics(statistics, int(rng.integers(2**31))))


def covered(
    interval: Callable[[np.random.Generator], ConfidenceInterval], truth: float, rng: np.random.Generator, draws: int
) -> float | None:
    """The share of so many test sets whose interval holds the truth; None where most have no interval."""
    given = [ends for ends in (interval(rng) for _ in range(draws)) if ends.low is not None]
    if len(given) < draws / 2:
        return None  # mostly below the evidence floor
    return sum(ends.low <= truth <= (ends.high or 0.0) for ends in given if ends.low is not None) / len(given)


def main() -> int:
    """Prints one line a metric, with its worst cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=400, help="test sets drawn for each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--metrics", nargs="*", default=(), help="only these; default all")
    options = parser.parse_args()
    start = time.time()
    found: dict[str, list[tuple[float, str]]] = {}
    cells = itertools.chain(
        binary_cells(), ranked_cells(), clustered_cells(), ordered_cells(), number_cells(), label_set_cells()
    )
    for number, (name, where, truth, interval) in enumerate(cells):
        if options.metrics and name not in options.metrics:
            continue
        rng = np.random.default_rng([options.seed, number])
        share = covered(interval, truth, rng, options.simulations)
        if share is not None and share < LEAST:
            share = covered(interval, truth, rng, 10 * options.simulations)
        if share is not None:
            found.setdefault(name, []).append((share, where))
    for name, of_metric in found.items():
        mean, (least, where) = np.mean([share for share, _ in of_metric]), min(of_metric)
        print(f"{name:20} cells {len(of_metric):3}  mean {mean:.3f}  least {least:.3f}  {where}")
    every = [share for of_metric in found.values() for share, _ in of_metric]
    print(f"all: cells {len(every)}, mean {np.mean(every):.4f}, least {min(every):.3f}; {time.time() - start:.0f} s")
    return 0 if 0.94 <= np.mean(every) <= 0.96 and min(every) >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
