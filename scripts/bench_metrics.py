"""Speed of our metrics beside their peers, in one process: alternating rounds, the ratio of each round, its spread.

    OMP_NUM_THREADS=1 python scripts/bench_metrics.py [--rounds 3] [--rows 1000000]

Expected (issue 3): classification at least 20 times `evaluate.combine` of the same four; entity F1 at least 4 times
seqeval's sentences per second; 10,000 resamples of F1 of 1,000,000 rows under 0.1 s; a BLEU interval of 10,000
sentences faster than sacrebleu's own. Exits 1 where one is not met.
"""

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from llmtune.metrics import compute_metrics, confusion_matrix
from llmtune.metrics.bleu import NgramCounts
from llmtune.metrics.bleu import score as bleu_score
from llmtune.metrics.core.base import MetricContext, SufficientStatistics
from llmtune.metrics.core.registry import named_metrics
from llmtune.metrics.entity_f1 import EntityCounts, entity_f_beta
from llmtune.metrics.f1 import F1
from llmtune.stats import cluster_bootstrap, multinomial_bootstrap
from llmtune.text.tag_arrays import tags_of_lists

FOUR = ("accuracy", "precision", "recall", "f1")


def seconds(run: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compared(what: str, ours: Callable[[], Any], peer: Callable[[], Any], *, rounds: int, least: float) -> bool:
    """Alternates the two, prints both and their ratio; whether the median ratio is at least `least`."""
    ours(), peer()  # warm: imports, caches
    pairs = [(seconds(ours), seconds(peer)) for _ in range(rounds)]
    ratios = np.array([theirs / own for own, theirs in pairs])
    own, theirs = np.median(pairs, axis=0)
    met = bool(np.median(ratios) >= least)
    print(
        f"{what}: ours {own:.4f} s, peer {theirs:.3f} s, {np.median(ratios):.1f} times as fast "
        f"({ratios.min():.1f} to {ratios.max():.1f}; at least {least:g}) {'met' if met else 'NOT MET'}"
    )
    return met


def four_of_evaluate() -> Any:
    """`evaluate.combine` of accuracy, precision, recall and F1, which `evaluate` itself only loads from the Hub.

    Hence the four written here as its modules are: sklearn's score behind `evaluate.Metric`, with int32 features.
    """
    import datasets
    import evaluate
    from sklearn import metrics as sk

    def module(name: str) -> Any:
        class Peer(evaluate.Metric):
            def _info(self) -> Any:
                value = datasets.Value("int32")
                features = datasets.Features({"predictions": value, "references": value})
                return evaluate.MetricInfo(description=name, citation="", features=features)

            def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
                return {name: float(vars(sk)[f"{name}_score"](references, predictions))}

        Peer.__name__ = name
        return Peer(experiment_id=name)

    return evaluate.combine([module(name) for name in FOUR])


def classification(rounds: int, rows: int) -> bool:
    """Four metrics from class ids, and all of the hub's from logits."""
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 2, rows)
    prediction = np.where(rng.random(rows) < 0.9, reference, 1 - reference)
    setting = MetricContext("classification", ("ham", "spam"), 1)
    metrics = [named_metrics(name, setting)[0] for name in FOUR]
    peer = four_of_evaluate()

    def ours() -> list[float]:
        matrix = confusion_matrix(reference, prediction, 2)
        return [float(metric.score(matrix[None])[0]) for metric in metrics]

    expected = peer.compute(predictions=prediction, references=reference)
    assert np.allclose(ours(), [expected[name] for name in FOUR], rtol=1e-12)
    met = compared(
        f"four metrics of {rows:,} rows, evaluate.combine",
        ours,
        lambda: peer.compute(predictions=prediction, references=reference),
        rounds=rounds,
        least=20,
    )
    logits = np.log(np.where(np.eye(2)[prediction] == 1, 0.8, 0.2)).astype(np.float32)
    hub = compute_metrics("classification", label_names=["ham", "spam"])
    took = seconds(lambda: hub(SimpleNamespace(predictions=logits, label_ids=reference)))
    print(
        f"all {len(hub(SimpleNamespace(predictions=logits, label_ids=reference)))} of the hub from logits: {took:.2f} s"
    )
    matrix = confusion_matrix(reference, prediction, 2)
    spread = [seconds(lambda: multinomial_bootstrap(matrix, lambda found: F1.of_class(found, 1))) for _ in range(5)]
    met_bootstrap = max(spread) < 0.1
    print(
        f"10,000 resamples of F1 of {rows:,} rows: {min(spread):.4f} to {max(spread):.4f} s (under 0.1) {met_bootstrap}"
    )
    return met and met_bootstrap


def entities(rounds: int) -> bool:
    """Entity F1 of 20,000 sentences of 20 words."""
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    rng = np.random.default_rng(0)
    tags = np.array(["O", *(f"{prefix}-{kind}" for kind in ("PER", "LOC", "ORG", "MISC") for prefix in "BI")])
    shares = [0.8, *([0.03, 0.02] * 4)]
    reference = tags[rng.choice(9, (20_000, 20), p=shares)].tolist()
    noise = rng.random((20_000, 20)) < 0.9
    prediction = np.where(noise, reference, tags[rng.choice(9, (20_000, 20), p=shares)]).tolist()

    def ours(scheme: str) -> float:
        columns = {"reference": tags_of_lists(reference), "prediction": tags_of_lists(prediction)}
        counts = EntityCounts(("LOC", "MISC", "ORG", "PER"), scheme)
        return float(entity_f_beta(counts(columns).sum(axis=0)[None])[0])

    def strict() -> float:
        return float(f1_score(reference, prediction, mode="strict", scheme=IOB2))

    assert abs(ours("lenient") - f1_score(reference, prediction)) < 1e-12
    assert abs(ours("IOB2") - strict()) < 1e-12
    lenient = compared(
        "entity F1 of 20,000 sentences, seqeval",
        lambda: ours("lenient"),
        lambda: f1_score(reference, prediction),
        rounds=rounds,
        least=4,
    )
    return compared("the same strict", lambda: ours("IOB2"), strict, rounds=rounds, least=4) and lenient


def bleu(rounds: int) -> bool:
    """Score and interval of 10,000 sentences, 1,000 resamples on both sides, and the memory each takes."""
    from sacrebleu.metrics.bleu import BLEU

    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(2_000)])
    ids = rng.integers(0, 2_000, (10_000, 20))
    references = [" ".join(row) for row in words[ids]]
    changed = np.where(rng.random(ids.shape) < 0.8, ids, rng.integers(0, 2_000, ids.shape))
    predictions = [" ".join(row) for row in words[changed]]
    columns = {"prediction": predictions, "reference": [[row] for row in references]}
    statistics = NgramCounts("13a")(columns)
    peer = BLEU(force=True)
    lists = statistics.astype(int).tolist()

    def ours() -> Any:
        return cluster_bootstrap(statistics, bleu_score, n_resamples=1000)

    def theirs() -> Any:
        from sacrebleu.significance import _bootstrap_resample

        return _bootstrap_resample(lists, peer, 1000)

    met = compared(
        "interval of BLEU of 10,000 sentences, sacrebleu (both from sentence statistics)",
        ours,
        theirs,
        rounds=rounds,
        least=1,
    )
    whole = compared(
        "score and interval, tokenizing too",
        lambda: SufficientStatistics(NgramCounts("13a")(columns), 0).bootstrap(bleu_score),
        lambda: peer.corpus_score(predictions, [references], n_bootstrap=1000),
        rounds=1,
        least=1,
    )
    for name, run in (("ours", ours), ("sacrebleu", theirs)):
        tracemalloc.start()
        run()
        print(f"  memory at most, {name}: {tracemalloc.get_traced_memory()[1] / 2**20:.0f} MiB")
        tracemalloc.stop()
    return met and whole


def main() -> int:
    """Runs all and tells whether each expectation is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    met = [classification(options.rounds, options.rows), entities(options.rounds), bleu(options.rounds)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
