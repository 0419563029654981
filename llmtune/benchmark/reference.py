"""Is the served model the one that was trained? The same rows here and there: nats of a token, answers, decisions."""

from collections.abc import Sequence

import numpy as np

from llmtune.benchmark.client import Refusal
from llmtune.benchmark.language_models import LanguageModel, Likelihood, Pair
from llmtune.benchmark.task import BenchmarkTask
from llmtune.predictions import Predictions
from llmtune.text.shorten import truncated_line

SAME_NATS = 1e-3  # of a token, in float32


class Recorded:
    """A language model that remembers what it said.

    Args:
        model: that is asked.

    Attributes:
        nats: by pair of context and continuation.
        texts: by prompt.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model, self.name = model, model.name
        self.nats: dict[Pair, Likelihood] = {}
        self.texts: dict[str, str] = {}

    def likelihoods(self, pairs: Sequence[Pair]) -> list[Likelihood]:
        """As the model's."""
        likelihoods = self.model.likelihoods(pairs)
        self.nats |= dict(zip(pairs, likelihoods, strict=True))
        return likelihoods

    def decide(
        self, texts: Sequence[str], prompts: Sequence[str], labels: Sequence[str], separator: str
    ) -> list[list[float]]:
        """As the model's; what it asks itself stands in the tables."""
        return self.model.decide(texts, prompts, labels, separator)

    def write(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]:
        """As the model's."""
        texts = self.model.write(prompts, max_new_tokens)
        self.texts |= dict(zip(prompts, texts, strict=True))
        return texts


def check_reference(task: BenchmarkTask, served: Recorded, table: Predictions, local: LanguageModel) -> str:
    """Asks the local model the same, and compares.

    Args:
        task: its rows.
        served: what the server said.
        table: the predictions made of that.
        local: the model that should be served.

    Returns:
        a line on how well they agree.

    Raises:
        Refusal: the first row on which they differ.
    """
    here = Recorded(local)
    own = task.predicted_by(here)
    largest = _largest_difference(task, served, here, local.name)
    for prompt, text in served.texts.items():
        if here.texts[prompt] != text:
            raise Refusal(
                f"row {_row(task, (prompt, ''))}: it wrote {truncated_line(text, 60)!r}, and {local.name} writes "
                f"{truncated_line(here.texts[prompt], 60)!r}: another model is served, or in another dtype; serve that "
                "folder, or leave --reference out"
            )
    if own.has("prediction"):
        cells = zip(own.column("prediction"), table.column("prediction"), strict=True)
        for place, (mine_decided, there_decided) in enumerate(cells):
            if mine_decided != there_decided:
                raise Refusal(
                    f"row {place}: decided {there_decided!r} there, {mine_decided!r} in {local.name}: two answers are "
                    "too close to tell; serve the model in float32"
                )
    if task.by_decision:
        apart = np.abs(own.probabilities() - table.probabilities()).max(axis=1)
        if not apart.max() <= SAME_NATS:
            raise Refusal(
                f"row {int(apart.argmax())}: probabilities up to {apart.max():.3g} from those of {local.name}: the "
                "endpoint asks by another template (decision.json), or serves another model; give both the same "
                "prompt, or leave --reference out"
            )
        return f"agrees with the label likelihoods of {local.name} on all {len(table):,} rows"
    asked = len(served.nats) + len(served.texts)
    nats = f", at most {largest:.1e} nats a token apart" if served.nats else ""
    return f"agrees with {local.name} on all {asked:,} requests{nats}, and on every decision"


def _largest_difference(task: BenchmarkTask, served: Recorded, here: Recorded, name: str) -> float:
    """In nats of a token, over all that was asked there; raises Refusal at the first row beyond `SAME_NATS`."""
    largest = 0.0
    for pair, there in served.nats.items():
        mine = here.nats[pair]
        row = _row(task, pair)
        if mine.tokens != there.tokens:
            raise Refusal(
                f"row {row}: {there.tokens} tokens there, {mine.tokens} in {name}, for "
                f"{truncated_line(pair[1], 60)!r}: another tokenizer is served; serve that "
                "folder, or leave --reference out"
            )
        apart = abs(mine.nats - there.nats) / max(1, mine.tokens)
        largest = max(largest, apart)
        if not apart <= SAME_NATS:
            raise Refusal(
                f"row {row}: {there.nats / there.tokens:.4f} nats a token there, {mine.nats / mine.tokens:.4f} in "
                f"{name}, for {truncated_line(pair[1], 60)!r}: another model is served, or in another dtype than "
                "float32; serve that folder, or leave --reference out"
            )
    return largest


def _row(task: BenchmarkTask, pair: Pair) -> int:
    """The first row that a request is about."""
    if task.template:
        return task.prompts().index(pair[0])
    return [task.answer(row) for row in task.test[0]].index(pair[1])
