"""What each number among the arguments may be: one row a flag, read before any data or model is."""

import math
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from llmtune.errors import InputError

MOST = 2**31 - 1  # of a count where nothing else bounds it: what torch and the tokenizers hold in 32 bits
MOST_TOKENS = 2**24  # of one text or window: more than any model reads
MOST_ENTRIES = 1_000_000  # of a tokenizer from scratch, whose trainer asks for the memory of all at once


class Range(NamedTuple):
    """The numbers that a flag takes; NaN and infinity are never among them.

    Args:
        low: the least.
        high: the greatest; None where nothing but `cap` bounds it.
        cap: what machines hold, or more than anybody means; a message names it only to who exceeds it.
        above: whether `low` itself is too little.
        below: whether `high` itself is too much.
        unit: follows the numbers in a message.
        meaning: what the number is, where the flag's name does not say it.
        also: a value outside the range that means something of its own.
    """

    low: float = -math.inf
    high: float | None = None
    cap: float = MOST
    above: bool = False
    below: bool = False
    unit: str = ""
    meaning: str = ""
    also: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the flag takes this value."""
        if value == self.also:
            return True
        if not math.isfinite(value) or value < self.low or self.above and value == self.low:
            return False
        if self.high is None:
            return value <= self.cap
        return value < self.high or not self.below and value == self.high

    def words(self, value: float) -> str:
        """What a message says was expected in the place of this value, which the flag does not take."""
        low, high = _plain(self.low), _plain(self.cap if self.high is None else self.high)
        if self.high is None and math.isfinite(value) and value > self.cap:
            expected = f"{high} or less"
        elif self.low == -math.inf:
            expected = "a finite number"
        elif self.above:
            end = "" if self.high is None else f" and below {high}" if self.below else f" and up to {high}"
            expected = f"a number above {low}{end}"
        elif self.high is None:
            expected = f"{low} or more"
        else:
            expected = f"{low} or more and below {high}" if self.below else f"{low} to {high}"
        unit = f" {self.unit}" if self.unit else ""
        also = "" if self.also is None else f" or {_plain(self.also)}"
        return expected + unit + also + (f", {self.meaning}" if self.meaning else "")


def _plain(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


COUNT, COUNT_OR_NONE = Range(1), Range(0)
LENGTH, OVERLAP = Range(1, cap=MOST_TOKENS, unit="tokens"), Range(0, cap=MOST_TOKENS, unit="tokens")
STEPS = Range(0.0, meaning="optimizer steps, or below 1 a share of all")
SEED = Range(0, 2**32 - 1)
RANGES = {
    # data
    "validation_fraction": Range(0.0, 1.0, meaning="a share of train"),
    "test_fraction": Range(0.0, 1.0, meaning="a share of train"),
    "max_train_samples": COUNT,
    "max_eval_samples": COUNT,
    # model
    "tokenizer_vocab_size": Range(1, cap=MOST_ENTRIES, unit="entries"),
    "lora_r": Range(1, cap=2**16, meaning="the rank of the adapter"),
    "lora_alpha": Range(1, meaning="the scale of the adapter, usually 2 x rank"),
    "lora_dropout": Range(0.0, 1.0, below=True, meaning="the share of the adapter's inputs that is set to 0"),
    "freeze_layers": COUNT_OR_NONE,
    # training: batches and time
    "per_device_train_batch_size": COUNT,
    "per_device_eval_batch_size": COUNT,
    "gradient_accumulation_steps": COUNT,
    "num_train_epochs": Range(0.0, cap=1e6),
    "max_steps": Range(1, also=-1, meaning="where -1 is as many as --num_train_epochs asks for"),
    "cpu_threads": Range(1, cap=4096),
    "early_stopping_patience": COUNT,
    "early_stopping_threshold": Range(0.0),
    "search_trials": COUNT,
    # training: the optimizer
    "learning_rate": Range(0.0, cap=1e6),
    "warmup_steps": STEPS,
    "weight_decay": Range(
        0.0, cap=1e6, meaning="the share of a weight, times the learning rate, that a step takes off"
    ),
    "adam_beta1": Range(0.0, 1.0, below=True, meaning="how slowly Adam's mean of gradients forgets"),
    "adam_beta2": Range(0.0, 1.0, below=True, meaning="how slowly Adam's mean of squared gradients forgets"),
    "adam_epsilon": Range(0.0, 1.0, above=True, meaning="what keeps Adam's steps finite"),
    "max_grad_norm": Range(0.0, meaning="what longer gradients are cut to; 0 cuts none"),
    "label_smoothing_factor": Range(0.0, 1.0, meaning="the share of a target that is spread over all classes"),
    "neftune_noise_alpha": Range(0.0, cap=1e6, meaning="the size of the noise on embeddings"),
    # training: evaluation, saving, logging
    "eval_steps": STEPS,
    "save_steps": STEPS,
    "logging_steps": STEPS,
    "eval_delay": Range(0.0, meaning="epochs or steps before the first evaluation"),
    "eval_accumulation_steps": COUNT,
    "save_total_limit": COUNT_OR_NONE,
    "torch_empty_cache_steps": COUNT,
    # training: seeds, loaders, processes
    "seed": SEED,
    "data_seed": SEED,
    "dataloader_num_workers": Range(0, cap=4096),
    "dataloader_prefetch_factor": Range(1, cap=2**16),
    "ddp_bucket_cap_mb": COUNT,
    "ddp_timeout": Range(1, unit="seconds"),
    "local_rank": Range(0, also=-1, meaning="which the launcher sets"),
    # tasks
    "max_length": LENGTH,
    "stride": OVERLAP,
    "doc_stride": OVERLAP,
    "max_source_length": LENGTH,
    "max_target_length": LENGTH,
    "max_new_tokens": LENGTH,
    "max_answer_length": LENGTH,
    "n_best_size": COUNT,
    "num_beams": Range(1, cap=1024),
    "length_penalty": Range(meaning="above 0 longer answers are preferred"),
    "no_repeat_ngram_size": Range(0, cap=2**16),
    "null_score_diff_threshold": Range(),
    "focal_gamma": Range(0.0, cap=1000.0),
    "huber_delta": Range(0.0, above=True, meaning="in standard deviations of train"),
    "lookback": Range(1, cap=MOST_TOKENS, unit="steps"),
    "horizon": Range(1, cap=MOST_TOKENS, unit="steps"),
    "season": Range(1, cap=MOST_TOKENS, unit="steps"),
    "interval_level": Range(0.0, 1.0, above=True, below=True, meaning="the share of truths inside, such as 0.9"),
    # of commands alone
    "show": COUNT_OR_NONE,
    "naive_mae": Range(0.0, meaning="a mean absolute error"),
    "num_fewshot": Range(0, unit="demonstrations"),
    "concurrency": Range(1, cap=4096, unit="requests at a time"),
    "timeout": Range(0.0, above=True, unit="seconds"),
    "speed_requests": COUNT_OR_NONE,
}


def check_ranges(arguments: Any) -> None:
    """Refuses a dataclass of arguments with a number that its flag does not take.

    Raises:
        InputError: such a number, by its flag.
    """
    for field in fields(arguments):
        default = None if field.default is MISSING else field.default
        check_number(field.name, getattr(arguments, field.name), default)


def check_number(flag: str, value: Any, default: Any = None) -> None:
    """Refuses a number, or one of a list of numbers, that a flag without its dashes does not take.

    Raises:
        InputError: such a number.
    """
    expected = RANGES.get(flag)
    for number in value if isinstance(value, list | tuple) else [value]:
        if expected is None or isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if not expected.holds(number):
            remedy = "leave it out" if default is None else f"leave it out for {default}"
            raise InputError(f"--{flag} {number}: expected {expected.words(number)}; {remedy}")
