"""`--search` and `--search_trials`: the space of settings, and how a trial ends."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmtune.errors import InputError

Choose = Callable[[Any, str], Any]  # an Optuna trial and a name → a value
LOG_FROM = 10.0  # ends of a range this many times apart are searched on a logarithmic scale


class TrialFinished(Exception):
    """Ends a trial once validation is scored: the test split stays unread.

    Args:
        metric: the one that decides.
        value: on validation.
        standard_error: of it; None where it has no interval.
        higher_is_better: its direction.
    """

    def __init__(self, metric: str, value: float, standard_error: float | None, higher_is_better: bool) -> None:
        super().__init__(f"{metric} {value}")
        self.metric, self.value, self.standard_error = metric, value, standard_error
        self.higher_is_better = higher_is_better


@dataclass(frozen=True)
class Search:
    """What was asked for.

    Args:
        text: as it was typed.
        space: flag without dashes → what chooses a value.
        trials: how many.
        seed: of the sampler.
    """

    text: str
    space: Mapping[str, Choose]
    trials: int
    seed: int


def pop_search(argv: Sequence[str]) -> tuple[Search | None, list[str]]:
    """Takes --search and --search_trials out of the arguments.

    Raises:
        InputError: a space that can't be read.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--search")
    parser.add_argument("--search_trials", type=int)
    seeded = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    seeded.add_argument("--seed", type=int, default=42)
    try:
        found, rest = parser.parse_known_args(argv)
        seed = seeded.parse_known_args(rest)[0].seed  # the runs take it too
    except argparse.ArgumentError as error:
        raise InputError(f"command line: {error}; --help lists the flags") from error
    if found.search is None:
        if found.search_trials is not None:
            raise InputError("--search_trials: there is nothing to try; add --search 'learning_rate=1e-5..1e-4'")
        return None, list(argv)
    trials = 20 if found.search_trials is None else found.search_trials
    if trials < 1:
        raise InputError(f"--search_trials {trials}: expected 1 or more")
    return Search(found.search, parse_space(found.search), trials, seed), rest


def parse_space(text: str) -> dict[str, Choose]:
    """`learning_rate=1e-5..1e-4,lora_r=8|16`: a range of numbers by `..`, a list of values by `|`.

    A range is searched on a logarithmic scale where its ends are ten or more times apart, in whole numbers where both
    are whole.

    Raises:
        InputError: a part that is neither, or a flag twice.
    """
    space: dict[str, Choose] = {}
    for part in text.split(","):
        name, equals, values = (piece.strip() for piece in part.partition("="))
        name = name.lstrip("-").replace("-", "_")
        choose = _range(values) if ".." in values else _choice(values) if values else None
        if not equals or not re.fullmatch(r"\w+", name) or choose is None:
            raise InputError(
                f"--search {text!r}: found {part.strip()!r}, expected flag=low..high or flag=a|b, as in "
                "'learning_rate=1e-5..1e-4,lora_r=8|16'"
            )
        if name in space:
            raise InputError(f"--search {text!r}: {name} is there twice; give each flag once")
        space[name] = choose
    return space


def _range(values: str) -> Choose | None:
    ends = values.split("..")
    try:
        low, high = (float(end) for end in ends)
    except ValueError:
        return None
    if not low < high:
        return None
    log = low > 0 and high / low >= LOG_FROM
    if all(re.fullmatch(r"[+-]?\d+", end.strip()) for end in ends):
        return lambda trial, name: trial.suggest_int(name, int(low), int(high), log=log)
    return lambda trial, name: trial.suggest_float(name, low, high, log=log)


def _choice(values: str) -> Choose:
    options = [value.strip() for value in values.split("|")]
    return lambda trial, name: trial.suggest_categorical(name, options)
