"""What is known of a model's result, and all checks on it in their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmtune.baselines import table_baselines
from llmtune.diagnosis.accuracy_paradox import accuracy_paradox
from llmtune.diagnosis.baseline import baseline
from llmtune.diagnosis.calibration import calibration
from llmtune.diagnosis.check import Check, not_applicable
from llmtune.diagnosis.degenerate_output import degenerate_output
from llmtune.diagnosis.evidence import evidence
from llmtune.diagnosis.fairness import fairness
from llmtune.diagnosis.headline import headline
from llmtune.diagnosis.label_noise import label_noise
from llmtune.diagnosis.leakage import Examples, leakage
from llmtune.diagnosis.length import length
from llmtune.diagnosis.numerics import numerics
from llmtune.diagnosis.overfitting import Curve, overfitting, overfitting_of_runs
from llmtune.diagnosis.perplexity_alone import perplexity_alone
from llmtune.diagnosis.saved_model import Rescored, saved_model
from llmtune.diagnosis.target_list import Target
from llmtune.diagnosis.targets import targets
from llmtune.diagnosis.threshold import threshold
from llmtune.diagnosis.verdict import Verdict, combine
from llmtune.diagnosis.worse_than_base import worse_than_base
from llmtune.metrics import Score
from llmtune.predictions import Predictions
from llmtune.progress import waiting


@dataclass(frozen=True)
class TrainingLog:
    """What training left.

    Args:
        evaluations: entries as `overfitting` reads them.
        kept_step: of the checkpoint that was kept, None for the last.
        chosen: whether validation chose it.
        losses: of the training steps; None stands for NaN.
    """

    evaluations: Sequence[Mapping[str, Any]] = ()
    kept_step: int | None = None
    chosen: bool = False
    losses: Sequence[float | None] = ()

    @classmethod
    def from_run(cls, training: Mapping[str, Any]) -> "TrainingLog":
        """From the `training` entry of run.json; empty where a run has none."""
        kept = training.get("kept", {"step": None, "chosen": False})
        return cls(
            evaluations=[one["curves"] for one in training.get("evaluations", []) if "curves" in one],
            kept_step=kept["step"],
            chosen=kept["chosen"],
            losses=[one["loss"] for one in training.get("losses", [])],
        )

    @property
    def curve(self) -> Curve:
        """What the check overfitting reads."""
        return Curve(self.evaluations, self.kept_step, self.chosen)


@dataclass(frozen=True)
class Context:
    """A test table and what stands beside it; every check says what it lacks.

    Args:
        test: the predictions to judge.
        validation: of the same model, for the temperature.
        scores: of `test`, where they are computed already.
        targets: from --targets.
        baselines: simple models on the same rows, by name; those that `table_baselines` makes stand beside in any case.
        base: the base model or an earlier run on the same rows.
        training: what training left.
        runs: of several runs put together what training left of each, by name.
        examples: by split, the rows as `leakage` reads them; at least those of train.
        earlier_leakage: what the check found when the run was made, where its rows are not here now.
        rescored: test rows as the model predicts them that the run has just saved.
        earlier_saved_model: what the check found when the run was made.
        truncated: by split, rows cut at max_length.
        group_columns: of `test`, people.
        slice_columns: of `test`, parts of the data.
        objective: that the threshold was chosen for.
        class_weights: that the model was trained with, as --class_weights says them.
        continuations: of a language model, what it writes after the beginnings of rows.
        task_results: results of tasks beside a perplexity.
        seed: of bootstraps and permutations.
    """

    test: Predictions
    validation: Predictions | None = None
    scores: Mapping[str, Score] | None = None
    targets: tuple[Target, ...] = ()
    baselines: Mapping[str, Predictions] = field(default_factory=dict)
    base: Predictions | None = None
    training: TrainingLog = TrainingLog()
    runs: Mapping[str, TrainingLog] = field(default_factory=dict)
    examples: Mapping[str, Examples] = field(default_factory=dict)
    earlier_leakage: Check | None = None
    rescored: Rescored | None = None
    earlier_saved_model: Check | None = None
    truncated: Mapping[str, int] = field(default_factory=dict)
    group_columns: Sequence[str] = ()
    slice_columns: Sequence[str] = ()
    objective: str | None = None
    class_weights: str = "none"
    continuations: Predictions | None = None
    task_results: tuple[str, ...] = ()
    seed: int = 42


def checks_of(case: Context) -> tuple[Check, ...]:
    """Every check once, in the order in which a person should read them."""
    test, seed, weights = case.test, case.seed, case.class_weights
    simple = baseline(test, {**table_baselines(test), **case.baselines}, seed=seed)
    before = worse_than_base(test, case.base, seed=seed)
    losses = [loss for log in (case.training, *case.runs.values()) for loss in log.losses]
    return (
        numerics(test, losses, case.truncated),
        case.earlier_saved_model or saved_model(case.rescored),
        evidence(test, case.targets),
        accuracy_paradox(test, class_weights=weights),
        targets(test, case.targets, case.scores, beside=(simple, before), class_weights=weights, seed=seed),
        leakage_of(case),
        simple,
        before,
        overfitting_of_case(case),
        length(test),
        fairness(test, case.group_columns, case.slice_columns),
        degenerate_output(case.continuations or test),
        perplexity_alone(test, case.task_results),
        calibration(test, case.validation, class_weights=weights, seed=seed),
        threshold(test, case.objective, seed=seed),
        label_noise(test),
    )


def overfitting_of_case(case: Context) -> Check:
    """The check `overfitting` of one run, or of each of several."""
    if case.runs:
        return overfitting_of_runs({name: log.curve for name, log in case.runs.items()})
    curve = case.training.curve
    return overfitting(curve.evaluations, curve.kept_step, chosen=curve.chosen)


def leakage_of(case: Context) -> Check:
    """The check `leakage`, or what is lacking for it."""
    if "train" not in case.examples and case.earlier_leakage is not None:
        return case.earlier_leakage
    if "train" not in case.examples:
        return not_applicable("leakage", "the rows of train are not here: --train_file names them")
    held_out = {split: rows for split, rows in case.examples.items() if split != "train"}
    if not held_out:
        return not_applicable("leakage", "the predictions have no column 'text' to look up in train")
    return leakage(case.examples["train"], held_out, case.test if "test" in held_out else None, seed=case.seed)


@waiting("checking the result")
def diagnose(case: Context) -> Verdict:
    """Runs every check.

    Raises:
        InputError: a target or a column that the table has not, or tables of other rows.
    """
    return combine(checks_of(case), headline(case.test, case.scores))
