"""Entities: the scores of an evaluation in training, and the end of a recipe: the test split, and all a run leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from transformers import EvalPrediction

from llmtune.arguments.data import SPLITS
from llmtune.baselines import gazetteer
from llmtune.diagnosis.context import Context, TrainingLog, diagnose
from llmtune.diagnosis.leakage import Examples
from llmtune.diagnosis.target_list import read_targets
from llmtune.diagnosis.verdict import Verdict
from llmtune.finish.write_run import leave_report, training_facts, with_deciding_metric, write_results
from llmtune.inference import predict_rows, tabulate_words
from llmtune.metrics import Score, compute_metrics, score_predictions
from llmtune.metrics.core.base import IGNORED, with_interval
from llmtune.metrics.core.entity_errors import compare_entities
from llmtune.models.checkpoints import save_weights
from llmtune.predictions import Predictions
from llmtune.predictions.kinds import TOKEN_CLASSIFICATION
from llmtune.runs.folder import baseline_splits
from llmtune.tasks.token_classification.rows import TaggedSplits
from llmtune.tasks.token_classification.task import TokenClassification
from llmtune.tasks.token_classification.windows import Windows
from llmtune.terminal.console import Terminal, label_typo_lines, plain_table
from llmtune.terminal.entity_tables import show_entities
from llmtune.text.tag_schemes import count_types
from llmtune.training.batching import LongestFirstSampler
from llmtune.training.trainer import Trainer

MOST_TYPES = 30


class SentenceScores:
    """`compute_metrics` of a Trainer: scores whole rows of words, whatever windows they were cut into.

    Args:
        task: of the model.
        windows: of the validation rows; their order is the Trainer's longest first.
        tags: the references, IOB2.

    Attributes:
        confusion_matrix: of the last evaluation, types and "nothing" last: missed entities, spurious ones.
        names: of its rows and columns.
    """

    def __init__(self, task: TokenClassification, windows: Windows, tags: Sequence[Sequence[str]]) -> None:
        self.task, self.windows, self.tags = task, windows, tags
        self.back = np.argsort(LongestFirstSampler(windows.inputs).order)
        every = dict.fromkeys([*task.tag_names, *(f"{letter}-{kind}" for kind in count_types(tags) for letter in "BI")])
        self.ids = {tag: i for i, tag in enumerate(every)}
        self.names = (*sorted({tag[2:] for tag in every if tag != "O"}), "nothing")
        self.confusion_matrix: np.ndarray | None = None

    def __call__(self, outputs: EvalPrediction) -> dict[str, float]:
        """Entity scores of all rows, the places that were no valid IOB2, and the words without a finite output."""
        ids, probabilities = (part[self.back] for part in outputs.predictions)
        tagged = self.task.decode((ids, probabilities), self.windows)
        hub = compute_metrics(TOKEN_CLASSIFICATION, label_names=list(self.ids))
        scores = hub(EvalPrediction(self._padded(tagged.tags), self._padded(self.tags)))
        self.confusion_matrix = self._matrix(tagged.tags)
        return {**scores, "repairs": float(tagged.repairs), "nonfinite_words": float(tagged.nonfinite)}

    def _padded(self, rows: Sequence[Sequence[str]]) -> np.ndarray:
        padded = np.full((len(rows), max(map(len, rows))), IGNORED)
        for row, tags in enumerate(rows):
            padded[row, : len(tags)] = [self.ids[tag] for tag in tags]
        return padded

    def _matrix(self, prediction: Sequence[Sequence[str]]) -> np.ndarray:
        table = pa.table({"tokens": self.tags, "reference": self.tags, "prediction": prediction})
        comparison = compare_entities(Predictions(TOKEN_CLASSIFICATION, table))
        here = [self.names.index(kind) for kind in (*comparison.types, "nothing")]
        matrix = np.zeros((len(self.names), len(self.names)), dtype=np.int64)
        matrix[np.ix_(here, here)] = comparison.matrix
        return matrix


def show_data(
    terminal: Terminal, splits: TaggedSplits, windows: Mapping[str, Windows], task: TokenClassification
) -> None:
    """What was read: rows, words, entities by type; the scheme, the windows, and what no model could find."""
    lines = []
    for split, said in splits.describe().items():
        entities = ", ".join(f"{kind} {n:,}" for kind, n in sorted(said["entities"].items(), key=lambda item: -item[1]))
        lines.append(f"{split:<11}{said['rows']:>8,} rows, {said['words']:,} words: {entities or 'no entity'}")
        widened = f"; {said['widened_spans']:,} spans widened to whole words" if said["widened_spans"] else ""
        lines.append(f"{'':<11}{said['scheme']}, {said['made']}{widened}")
    cut = ", ".join(f"{split} {of.cut_rows:,}" for split, of in windows.items() if of.cut_rows)
    lines.append(f"rows cut into windows of {task.max_length} tokens that share {task.stride}: {cut or 'none'}")
    empty = ", ".join(f"{split} {of.empty_words:,}" for split, of in windows.items() if of.empty_words)
    if empty:
        lines.append(f"words that the tokenizer turns into nothing, tagged O: {empty}")
    for split, types in splits.unseen().items():
        named = ", ".join(f"{kind} {n}" for kind, n in types.items())
        lines.append(f"absent from train, so all missed: {named} entities of {split}")
    lines += label_typo_lines([said["entities"] for said in splits.describe().values()], "entities")
    terminal.block("Data", lines)


def judge(
    trainer: Trainer, task: TokenClassification, splits: TaggedSplits, windows: Mapping[str, Windows]
) -> dict[str, Predictions]:
    """Predicts validation and test with the best weights. Call it on every process.

    Returns:
        the tables of both splits, whose references hold as many entities of each type as the data.
    """
    tables = {}
    for split in ("validation", "test"):
        outputs = predict_rows(trainer, windows[split])
        table = tabulate_words(task, outputs, splits.splits[split], windows[split], split)
        kept, given = count_types(table.column("reference")), splits.splits.class_counts[split]
        assert kept == given, f"{split}: the table holds the entities {kept}, the data {given}"
        tables[split] = table
    return tables


def leave(
    trainer: Trainer,
    task: TokenClassification,
    tables: Mapping[str, Predictions],
    splits: TaggedSplits,
    *,
    arguments: Sequence[Any],
    facts: Mapping[str, Any],
    metrics: Sequence[str] = (),
) -> dict[str, dict[str, Score]]:
    """Writes what a run leaves and prints its test block. Call it on every process; the first one writes.

    Args:
        trainer: with the best weights loaded.
        task: as trained.
        tables: by split, as `judge` gave them.
        splits: the rows.
        arguments: as parsed, data first, then the task's: for the verdict and run.json.
        facts: of the stages before, for run.json.
        metrics: more metrics, asked for by --metrics.

    Returns:
        the scores, by split.
    """
    folder = Path(str(trainer.args.output_dir))
    trainer.model.config.llmtune = task.settings()
    save_weights(trainer, keep_base="from scratch" in facts["model"]["name"])
    trained = training_facts(trainer)
    tables = with_deciding_metric(trainer, tables)
    seed = trainer.args.seed
    scores = {split: score_predictions(table, metrics=metrics, seed=seed) for split, table in tables.items()}
    if not trainer.is_world_process_zero():
        return scores
    test = tables["test"]
    train = splits.splits.train
    baselines = {"names known from train": gazetteer(list(train["tokens"]), list(train["tags"]), test)}
    beside = {name: score_predictions(table, seed=seed) for name, table in baselines.items()}
    raw = score_predictions(raw_table(test), seed=seed)
    comparison = compare_entities(test)
    entities = {
        "repairs": {split: table.settings["repairs"] for split, table in tables.items()},
        "nonfinite_words": {split: table.settings["nonfinite_words"] for split, table in tables.items()},
        "test_before_repair": {name: raw[name].value for name in ("entity_f1", "entity_f1_lenient")},
        **comparison.to_json(),
    }
    write_results(
        folder,
        tables,
        {**scores, **baseline_splits("test", beside)},
        baselines=baselines,
        arguments=arguments,
        facts={
            "seed": seed,
            **facts,
            "training": trained,
            "entities": entities,
            "baselines": {name: {"entity_f1": of["entity_f1"].value} for name, of in beside.items()},
        },
    )
    terminal = Terminal()
    terminal.training(trained)
    terminal.block(f"Test: {len(test)} rows", [])
    terminal.table(headline_table(scores["test"], beside))
    terminal.table(type_table(test, scores["test"]))
    show_entities(terminal, comparison)
    terminal.block("Notes", [*notes(task, test, scores["test"], raw), f"the run is in {folder}"])
    log = TrainingLog.from_run(trained)
    verdict = diagnose_run(tables, splits, scores["test"], baselines, log, arguments=arguments, seed=seed)
    leave_report(
        trainer, terminal, test, scores["test"], verdict, baselines=beside, no_examples=arguments[0].no_examples
    )
    return scores


def diagnose_run(
    tables: Mapping[str, Predictions],
    splits: TaggedSplits,
    scores: Mapping[str, Score],
    baselines: Mapping[str, Predictions],
    log: TrainingLog,
    *,
    arguments: Sequence[Any],
    seed: int,
) -> Verdict:
    """All checks of a run on its test split; the arguments are those of `leave`, `scores` are of the test split."""
    data, options = arguments[0], arguments[1]
    sentences = {split: splits.splits[split]["tokens"] for split in SPLITS}
    return diagnose(
        Context(
            tables["test"],
            tables["validation"],
            scores,
            demands=read_targets(options.targets),
            baselines=baselines,
            training=log,
            examples={split: Examples([" ".join(words) for words in rows]) for split, rows in sentences.items()},
            group_columns=data.group_columns,
            slice_columns=data.slice_columns,
            seed=seed,
        )
    )


def raw_table(predictions: Predictions) -> Predictions:
    """The table with the model's own tags in the place of the repaired ones."""
    table = predictions.table
    position = table.column_names.index("prediction")
    return replace(predictions, table=table.set_column(position, "prediction", table.column("raw_prediction")))


def headline_table(scores: Mapping[str, Score], baselines: Mapping[str, Mapping[str, Score]]) -> Any:
    """The scores of all types together, beside the baselines."""
    table = plain_table("metric", "value [95 % interval]", *baselines)
    shown = [
        name
        for name in scores
        if "[" not in name and not name.endswith("_lenient") and name not in TOKEN_CLASSIFICATION.headlines
    ]
    for name in (*TOKEN_CLASSIFICATION.headlines, *shown):
        beside = [with_interval(of[name]) if name in of else "" for of in baselines.values()]
        table.add_row(name, with_interval(scores[name]), *beside)
    return table


def type_table(predictions: Predictions, scores: Mapping[str, Score]) -> Any:
    """A row for each type: entities in the reference, precision, recall and F1; the most frequent types first."""
    counts = count_types(predictions.column("reference"))
    types = [name[len("entity_f1[") : -1] for name in scores if name.startswith("entity_f1[")]
    types.sort(key=lambda kind: (-counts.get(kind, 0), kind))
    title = "type" if len(types) <= MOST_TYPES else f"the {MOST_TYPES} most frequent types"
    table = plain_table(title, "entities", "precision", "recall", "F1")
    table.columns[1].justify = "right"
    for kind in types[:MOST_TYPES]:
        cells = [with_interval(scores[f"entity_{part}[{kind}]"]) for part in ("precision", "recall", "f1")]
        table.add_row(kind, f"{counts.get(kind, 0):,}", *cells)
    return table


def notes(
    task: TokenClassification, predictions: Predictions, scores: Mapping[str, Score], raw: Mapping[str, Score]
) -> list[str]:
    """What to know of the numbers: strict against lenient, the share of O, what the model can't see."""
    said = []
    strict, lenient = raw["entity_f1"].value, raw["entity_f1_lenient"].value
    repairs, nonfinite = predictions.settings["repairs"], predictions.settings["nonfinite_words"]
    if strict is not None and lenient is not None:
        said.append(
            f"strict F1 of the model's own tags {strict:.3f}, lenient (seqeval's default) {lenient:.3f}, gap "
            f"{lenient - strict:.3f}: {repairs:,} places broke IOB2 and were repaired (I-X not after B-X or I-X "
            "becomes B-X)"
        )
    tags = [tag for row in predictions.column("reference") for tag in row]
    share = tags.count("O") / max(1, len(tags))
    said.append(f"token accuracy flatters: {share:.1%} of the words are O, and who tags all O scores {share:.3f}")
    if task.is_causal:
        said.append("the model sees only the words to the left: an encoder of the same size usually finds more")
    if nonfinite:
        said.append(f"{nonfinite:,} words had NaN or infinite outputs and were tagged O: do not use these weights")
    return said
