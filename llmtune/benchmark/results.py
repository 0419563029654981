"""What a benchmark says of one task: every model's scores with intervals, and each against the first and the best.

The best model is picked on the same rows, so every pair of models counts as compared: the intervals of differences are
at the level 1 - 0.05 / pairs, and p-values are multiplied by the number of pairs (Bonferroni).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from llmtune.benchmark.task import BenchmarkTask
from llmtune.comparison.alignment import same_rows
from llmtune.comparison.paired import MOST_CLASSES, PairedComparison, PairedTables
from llmtune.data import Fingerprint
from llmtune.diagnosis.target_list import Target
from llmtune.diagnosis.verdict import Verdict
from llmtune.errors import InputError
from llmtune.metrics import Score, available_metrics, metrics_to_json
from llmtune.metrics.core.headlines import headline_names
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import deciding_metric
from llmtune.report.card import index_metric
from llmtune.report.every_eval_ever import eee_record
from llmtune.report.judgement import Judgement, JudgementOptions

ALPHA = 0.05  # of all pairs of a task together
BETTER, WORSE = "better", "worse"


@dataclass(frozen=True)
class ModelAnswers:
    """What one model said of the rows of a task.

    Args:
        model: as the user named it, or a baseline's name.
        way: fine-tuned, prompted, served or baseline.
        table: its predictions; None where the model was refused.
        facts: JSON values for benchmark.json: parameters, seconds, memory, requests.
        notes: what must be known of its numbers.
        refusal: why there are no numbers, and the way that works.
    """

    model: str
    way: str
    table: Predictions | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    refusal: str | None = None


@dataclass(frozen=True)
class PairResult:
    """B against A on the metric that decides.

    Args:
        a: a model.
        b: another one.
        comparison: values, difference and its interval at the level of the task.
        p: of McNemar's exact test times the number of pairs, at most 1; None of other kinds than classes.
        outcome: better, worse, or empty where the rows don't tell.
    """

    a: str
    b: str
    comparison: PairedComparison
    p: float | None
    outcome: str


class TaskResult:
    """The models of one task, scored and compared.

    Args:
        task: its rows and prompt.
        answers: of each model, the first one as the user named it first.
        targets: that verdicts require, of the metrics that this task has.
        seed: of intervals.

    Raises:
        InputError: two models did not answer the same rows, or have other classes.
    """

    def __init__(
        self, task: BenchmarkTask, answers: Sequence[ModelAnswers], *, targets: Sequence[Target] = (), seed: int = 42
    ) -> None:
        self.task, self.targets, self.seed = task, targets, seed
        self.answers = list(answers)
        first = self.scored[0] if self.scored else None
        for place, each in enumerate(self.answers):
            if first is not None and each.table is not None and each is not first:
                assert first.table is not None
                aligned = same_rows(first.table, each.table, (first.model, each.model))
                self.answers[place] = replace(each, table=aligned)

    @property
    def scored(self) -> list[ModelAnswers]:
        """The models that were not refused."""
        return [each for each in self.answers if each.table is not None]

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the rows."""
        return self.task.test[1]

    @cached_property
    def judgements(self) -> dict[str, Judgement]:
        """By model."""
        judged = {}
        for each in self.scored:
            assert each.table is not None
            names = available_metrics(each.table)
            fitting = [str(target) for target in self.targets if target.name in names]
            options = JudgementOptions(targets=",".join(fitting) or None, seed=self.seed)
            judged[each.model] = Judgement(each.table, options)
        return judged

    @cached_property
    def scores(self) -> dict[str, dict[str, Score]]:
        """By model, all metrics of its table and those of the task."""
        return {
            model: {**judgement.scores, **self.task.own_scores(judgement.table, self.seed)}
            for model, judgement in self.judgements.items()
        }

    def verdict(self, model: str) -> Verdict | None:
        """Of all checks that a table alone allows."""
        return self.judgements[model].verdict

    @cached_property
    def tokens_differ(self) -> bool:
        """Whether models cut the same texts into different tokens, so that perplexities say nothing together."""
        tables = [each.table for each in self.scored if each.table is not None]
        if not tables or not tables[0].kind.token_metrics:
            return False
        return any(table.column("tokens") != tables[0].column("tokens") for table in tables[1:])

    @cached_property
    def short_names(self) -> dict[str, str]:
        """By model, what tables and sentences call it: the end of its name, where no other model ends so.

        >>> shortened_names(["runs/a", "runs/b", "old/b", "openai:http://host:8000/v1#b"])
        {'runs/a': 'a', 'runs/b': 'runs/b', 'old/b': 'old/b', 'openai:http://host:8000/v1#b': 'b at host:8000'}
        """
        return shortened_names([each.model for each in self.answers])

    @cached_property
    def main_metric(self) -> str | None:
        """The metric that decides, of all models; None where no model was scored."""
        if not self.scored:
            return None
        table = self.scored[0].table
        assert table is not None
        names = [name for name in available_metrics(table) if all(name in scores for scores in self.scores.values())]
        if self.tokens_differ:
            names = [name for name in names if name not in table.kind.token_metrics]
        return deciding_metric(table, names)

    @cached_property
    def higher_is_better(self) -> bool:
        """The good direction of the metric that decides."""
        assert self.main_metric is not None
        table = self.scored[0].table
        assert table is not None
        return available_metrics(table)[self.main_metric].higher_is_better

    @cached_property
    def metric_range(self) -> tuple[float, float]:
        """Least and greatest possible value of the metric that decides."""
        table = self.scored[0].table
        assert table is not None
        return available_metrics(table)[str(self.main_metric)].range

    @cached_property
    def ranked(self) -> list[str]:
        """The models, best value first; those without one last."""
        sign = -1 if self.higher_is_better else 1

        def place(model: str) -> tuple[bool, float]:
            value = self.scores[model][str(self.main_metric)].value
            return (value is None, 0.0 if value is None else sign * value)

        return sorted((each.model for each in self.scored), key=place)

    @cached_property
    def pairs(self) -> list[PairResult]:
        """Each model against the first, then against the best."""
        names = [each.model for each in self.scored]
        if len(names) < 2:
            return []
        best = self.ranked[0]
        wanted = [(names[0], name) for name in names[1:]]
        wanted += [(best, name) for name in names if name not in (best, names[0]) and best != names[0]]
        return [self._pair(a, b) for a, b in wanted]

    def sentence(self, pair: PairResult) -> str:
        """The finding: subject, number, comparison, interval."""
        of_pair, a, b = pair.comparison, self.short_names[pair.a], self.short_names[pair.b]
        if of_pair.difference is None:
            return f"{b} and {a}: {of_pair.metric} is undefined for one of them"
        effect = f"{of_pair.metric}: {of_pair.difference:+.3f}"
        if of_pair.low is not None and of_pair.high is not None:
            effect += f", {100 * of_pair.level:.4g} % CI [{of_pair.low:+.3f}, {of_pair.high:+.3f}]"
        if pair.p is not None:
            effect += f"; McNemar's test of accuracy, corrected: p = {pair.p:.2g}"
        if not pair.outcome:
            return f"No significant difference between {b} and {a} on {effect}"
        return f"{b} is significantly {pair.outcome} than {a} on {effect}"

    def _pair(self, a: str, b: str) -> PairResult:
        tables = {each.model: each.table for each in self.scored}
        first, second = tables[a], tables[b]
        assert first is not None
        assert second is not None
        count = len(tables) * (len(tables) - 1) // 2
        engine = PairedTables(first, second, self.seed)
        metric = available_metrics(engine.both)[str(self.main_metric)]
        if first.kind.single_label and len(first.label_names) > MOST_CLASSES:  # the bootstrap would cost minutes
            of_a, of_b = (self.scores[model][metric.name].value for model in (a, b))
            difference = None if of_a is None or of_b is None else of_b - of_a
            pair = PairedComparison(metric.name, metric.higher_is_better, of_a, of_b, difference)
        else:
            pair = engine.compare(metric, 1 - ALPHA / count)
        p = min(1.0, engine.mcnemar()[0].p * count) if first.kind.single_label else None
        outcome = BETTER if pair.significantly_better else WORSE if pair.significantly_worse else ""
        if pair.low is None and pair.difference and p is not None and p < ALPHA:
            outcome = BETTER if (pair.difference > 0) == pair.higher_is_better else WORSE
        return PairResult(a, b, pair, p, outcome)

    @cached_property
    def cautions(self) -> list[str]:
        """What a reader must not conclude."""
        lines = []
        if any(each.table is not None and each.table.kind.token_metrics for each in self.scored):
            lines.append(
                "perplexity alone decides nothing: it says how well texts are predicted, not how well a task is done"
            )
        if self.tokens_differ:
            lines.append(
                "these models cut the texts into different tokens: their perplexities do not compare, bits_per_byte do"
            )
        if self.fingerprint.rows < MANY:
            lines.append(f"{self.fingerprint.rows:,} rows: only large differences between models can show")
        return lines

    def to_json(self) -> dict[str, Any]:
        """One task of benchmark.json."""
        return {
            "task": self.task.name,
            "data": asdict(self.fingerprint),
            "prompt": self.task.prompt.to_json() if self.task.template else None,
            "main_metric": self.main_metric,
            "ranked": self.ranked if self.scored else [],
            "models": [self._model_json(each) for each in self.answers],
            "pairs": [{**asdict(pair), "sentence": self.sentence(pair)} for pair in self.pairs],
            "correction": f"Bonferroni over {len(self.scored) * (len(self.scored) - 1) // 2} pairs",
            "cautions": self.cautions,
        }

    def to_records(self) -> list[dict[str, Any]]:
        """The scored models as records of Every Eval Ever."""
        facts = asdict(self.fingerprint)
        data = Path(self.fingerprint.source).name
        return [
            eee_record(
                each.model,
                each.table,
                self.scores[each.model],
                data=data,
                model_facts={"way": each.way, **each.facts},
                data_facts=facts,
            )
            for each in self.scored
            if each.table is not None
        ]

    def to_model_index(self) -> list[dict[str, Any]]:
        """The scored models as `model-index` of a card: the headline metrics, on a data set of one's own."""
        data = {
            "type": "local",
            "name": Path(self.fingerprint.source).name,
            "args": {"sha256": self.fingerprint.sha256},
        }
        entries = []
        for each in self.scored:
            assert each.table is not None
            kind, scores = each.table.kind, self.scores[each.model]
            names = headline_names(kind, scores)[:MOST_INDEXED]
            metrics = [index_metric(name, scores[name], each.table.split) for name in names]
            task = {"type": kind.pipeline_tag or kind.name, "name": f"{self.task.name}, {each.way}"}
            result = {"task": task, "dataset": data, "metrics": [metric for metric in metrics if metric]}
            entries.append({"name": self.short_names[each.model], "results": [result]})
        return entries

    def _model_json(self, each: ModelAnswers) -> dict[str, Any]:
        content: dict[str, Any] = {"model": each.model, "way": each.way, "facts": dict(each.facts)}
        content |= {"notes": list(each.notes), "refusal": each.refusal}
        if each.table is None:
            return content
        verdict = self.verdict(each.model)
        assert verdict is not None
        return {
            **content,
            "metrics": metrics_to_json(self.scores[each.model]),
            "verdict": verdict.verdict,
            "sentence": verdict.sentence,
        }


def shortened_names(models: Sequence[str]) -> dict[str, str]:
    """By model the end of its path or address, where it is of one model alone; else all of it."""
    ends = {model: re.split(r"[/#]", model.rstrip("/"))[-1] or model for model in models}
    counts = Counter(ends.values())
    return {model: end if counts[end] == 1 else _with_host(model, end) for model, end in ends.items()}


def _with_host(model: str, end: str) -> str:
    """A served model with its host; of another one all of its name."""
    host = re.match(r"openai:https?://([^/#]+)", model)
    return model if host is None else f"{end} at {host[1]}"


MOST_INDEXED = 5  # metrics of a model-index; benchmark.json has all
MANY = 200  # rows from which a difference of 0.1 of two accuracies shows, if a fifth of the rows is discordant


def check_benchmark_targets(targets: Sequence[Target], results: Sequence[TaskResult]) -> None:
    """Raises InputError for a target whose metric no task has."""
    known = {name for result in results for scores in result.scores.values() for name in scores}
    for target in targets:
        if known and target.name not in known:
            near = [name for name in sorted(known) if name.partition("[")[0] == target.metric] or sorted(known)
            raise InputError(
                f"--targets {target}: no task of this benchmark has the metric {target.name!r}; there are "
                f"{', '.join(near)}"
            )
