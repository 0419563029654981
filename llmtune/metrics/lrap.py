"""Label ranking average precision: of each label of a row, the share of its own among those ranked as high (ties too).

1 is best; a row with no label or with all of them counts as 1, as in scikit-learn.
"""

import numpy as np

from llmtune.metrics.core.base import Columns, Metric, MetricContext, ratio
from llmtune.metrics.core.clusters import mean_of, row_mean_interval, some_rows
from llmtune.predictions.kinds import MULTILABEL_CLASSIFICATION

KINDS = (MULTILABEL_CLASSIFICATION,)


def statistics(columns: Columns) -> np.ndarray:
    """Of each row the mean precision at its labels, and 1: (n, 2)."""
    reference, probabilities = columns["reference"], columns["probabilities"]
    # At a label's probability: its rank among all labels and among the row's own, ties at the worst place.
    ranks, own = np.zeros(reference.shape), np.zeros(reference.shape)
    for label in range(reference.shape[1]):
        as_high = probabilities >= probabilities[:, label : label + 1]
        ranks[:, label], own[:, label] = as_high.sum(axis=1), (as_high & reference).sum(axis=1)
    each = ratio((ratio(own, ranks) * reference).sum(axis=1), reference.sum(axis=1))
    counts = reference.sum(axis=1)
    each[(counts == 0) | (counts == reference.shape[1])] = 1.0
    return np.stack([each, np.ones(len(each))], axis=1)


def metrics(setting: MetricContext) -> list[Metric]:
    """`lrap`."""
    return [
        Metric(
            name="lrap",
            statistics=statistics,
            score=mean_of(0),
            interval=row_mean_interval,
            signature=f"labels:{len(setting.label_names)}|ties:worst",
            range=(0.0, 1.0),
            needs=("reference", "probabilities"),
            undefined=some_rows,
        )
    ]
