"""Entity precision, recall and F1 for `evaluate`."""

from functools import partial
from typing import Any

import datasets
import evaluate

from llmtune.metrics.entity_f1 import EntityCounts, entity_f_beta, of_type, precision, recall
from llmtune.metrics.token_accuracy import score, tag_statistics
from llmtune.text.tag_arrays import corpus_scheme, tags_of_lists, types_of


class EntityF1(evaluate.Metric):
    """Entities right in first word, last word and type: precision, recall, F1, of all and by type, 0 to 1.

    Args:
        scheme: "IOB2", "IOB1", "IOE2", "IOE1", "BIOES", "BILOU", "BMES" (strict), or "lenient" (seqeval's default);
            None detects that of the references.
        keep_in_memory: of `evaluate`; no file, no lock.
        kwargs: as `evaluate.Metric`.
    """

    def __init__(self, scheme: str | None = None, keep_in_memory: bool = True, **kwargs: Any) -> None:
        self.scheme = scheme
        super().__init__(keep_in_memory=keep_in_memory, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=str(self.__doc__),
            citation="",
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, Any]:
        columns = {"reference": tags_of_lists(references), "prediction": tags_of_lists(predictions)}
        types = types_of([*columns["reference"].names, *columns["prediction"].names])
        scheme = self.scheme or corpus_scheme(columns["reference"])
        sums = EntityCounts(types, scheme)(columns).sum(axis=0)[None]
        parts = {"precision": precision, "recall": recall, "f1": entity_f_beta}
        found: dict[str, Any] = {f"entity_{name}": float(part(sums)[0]) for name, part in parts.items()}
        found["token_accuracy"] = float(score(tag_statistics(columns).sum(axis=0)[None])[0])
        for position, of in enumerate(types):
            alone = partial(of_type, types=slice(position, position + 1))
            found[of] = {name: float(alone(sums, part)[0]) for name, part in parts.items()}
        return found
