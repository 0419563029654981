"""`--search`: settings tried one after the other by Optuna, each judged on validation; the best one becomes the run.

    accelerate launch recipes/spam.py --train_file a.csv --model_name_or_path … \
        --search 'learning_rate=1e-5..1e-4,lora_r=8|16' --search_trials 12

No trial reads the test split. The best of many trials looks better on validation than it is: by how much, if all were
equally good, is said in the report (Blom 1958: the expected maximum of k normal values).
"""

import argparse
import functools
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import NormalDist  # scipy.stats takes half a second to import
from typing import Any

from llmtune.arguments.search import TrialFinished, pop_search
from llmtune.errors import InputError
from llmtune.finish.run_document import Main, with_document


@dataclass(frozen=True)
class Trial:
    """One set of settings and what validation said of it.

    Args:
        settings: flag without dashes → value.
        result: value of the metric, its standard error, its name and direction.
    """

    settings: Mapping[str, Any]
    result: TrialFinished


def with_search(main: Main) -> Main:
    """A recipe's `main` that takes --search: the trials first, then the run with the best settings; and --format."""

    @functools.wraps(main)
    @with_document
    def searching(argv: Sequence[str] | None = None) -> Path:
        asked, rest = pop_search(list(sys.argv[1:] if argv is None else argv))
        if asked is None:
            return main(rest)
        trials = run_trials(main, asked.space, rest, count=asked.trials, seed=asked.seed)
        best = best_trial(trials)
        return main([*rest, *as_flags(trials[best].settings), "--search_summary", summary(asked.text, trials, best)])

    return searching


def run_trials(main: Main, space: Mapping[str, Any], argv: Sequence[str], *, count: int, seed: int) -> list[Trial]:
    """Trains `count` times with settings that Optuna's TPE sampler (Bergstra et al. 2011) proposes.

    On several processes each asks a sampler of its own: same seed and same values, so same proposals.

    Raises:
        InputError: Optuna is not installed, or what a run would refuse.
    """
    if find_spec("optuna") is None:
        raise InputError("--search needs optuna, not installed here: pip install 'llmtune[search]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))  # it minimizes
    trials: list[Trial] = []
    for number in range(1, count + 1):
        proposal = study.ask()
        settings = {name: choose(proposal, name) for name, choose in space.items()}
        told = ", ".join(f"{name} {value}" for name, value in settings.items())
        print(f"\nTrial {number} of {count}: {told}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="llmtune-trial-") as folder:
            try:
                main([*_without_output(argv), *as_flags(settings), "--search_trial", "--output_dir", f"{folder}/run"])
            except TrialFinished as finished:
                result = finished
        trials.append(Trial(settings, result))
        study.tell(proposal, -result.value if result.higher_is_better else result.value)
        print(f"Trial {number}: {result.metric} {result.value:.4f} on validation", file=sys.stderr)
    return trials


def best_trial(trials: Sequence[Trial]) -> int:
    """The position of the best on validation, the first of equals."""
    signs = [1 if trial.result.higher_is_better else -1 for trial in trials]
    return max(range(len(trials)), key=lambda at: (signs[at] * trials[at].result.value, -at))


def optimism(count: int, standard_error: float) -> float:
    """By how much the best of `count` equally good, independent models is expected to exceed them.

    >>> round(optimism(10, 1.0), 2)  # the expected maximum of ten normal values is 1.54
    1.55
    """
    return standard_error * NormalDist().inv_cdf((count - 0.375) / (count + 0.25)) if count > 1 else 0.0


def summary(text: str, trials: Sequence[Trial], best: int) -> str:
    """What the report says of the search, in a paragraph."""
    trial = trials[best]
    result = trial.result
    told = ", ".join(f"{name} {value}" for name, value in trial.settings.items())
    said = (
        f"{len(trials)} trials of {text}; trial {best + 1} ({told}) is the best on validation, with {result.metric} "
        f"{result.value:.3f}"
    )
    if result.standard_error is None:
        return f"{said}. The best of several looks better on validation than it is; no trial read the test split"
    return (
        f"{said}. The best of {len(trials)} looks better on validation than it is, by up to "
        f"{optimism(len(trials), result.standard_error):.3f} if all were equally good; no trial read the test split"
    )


def as_flags(settings: Mapping[str, Any]) -> list[str]:
    """As they would be typed."""
    return [part for name, value in settings.items() for part in (f"--{name}", str(value))]


def _without_output(argv: Sequence[str]) -> list[str]:
    """The arguments of a trial: not where the run goes, nor whom it tells."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("--output_dir", "--hub_model_id", "--resume_from_checkpoint"):
        parser.add_argument(flag)
    parser.add_argument("--report_to", nargs="+")
    for switch in ("--overwrite", "--push_to_hub"):
        parser.add_argument(switch, nargs="?")
    return parser.parse_known_args(list(argv))[1]
