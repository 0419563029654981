"""Tasks that write: what a model reads and learns of a source and its target, and how its answers are made.

A sequence-to-sequence model reads the source and learns the target. A decoder (Llama, Mistral) reads a prompt and goes
on from there: in training prompt, answer and end token stand in one row and the loss is on answer and end alone; to
answer, the prompts of a batch are padded on the left and stripped exactly. One argument switches from one to the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import datasets
import numpy as np
from transformers import PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.arguments.parser import Arguments
from llmtune.data import Fingerprint, Splits
from llmtune.diagnosis.degenerate_output import degenerate_output
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.models.auto_generation import AutoModelForGeneration
from llmtune.models.families import families_serving
from llmtune.models.loaded import LoadedModel
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.tasks.task import Encoded, Task, count_splits
from llmtune.tasks.text_generation.collator import GenerationCollator
from llmtune.tasks.text_generation.generation import Generation
from llmtune.tasks.text_generation.prompts import Prompts, check_template
from llmtune.tasks.text_generation.rows import load_text_split, load_text_splits
from llmtune.text.shorten import truncated_line
from llmtune.text.words import split_at_spaces

SAMPLES, SAMPLE_LENGTH = 3, 300


@dataclass(frozen=True)
class TextGeneration(Prompts, Task):
    """A task whose models write a text from a text; its subclasses say which, and what it is judged by."""

    kind = "text-generation"
    auto_model = AutoModelForGeneration
    families = families_serving("generation")

    arguments_type: ClassVar[type[Any]]
    """Whose defaults name the columns where a command names none."""

    decoder_template: ClassVar[str]
    """Of a decoder that is given none: where it ends, the answer begins."""

    length_flags: ClassVar[str] = "--max_target_length, --max_new_tokens"
    """Of its recipe, that set the length of an answer."""

    @property
    def shown(self) -> tuple[str, ...]:
        """Metrics on the line of an evaluation in training."""
        return self.scored

    @classmethod
    def read(cls, args: Arguments) -> Splits:
        """Sources and targets; rows with an equal source stay on one side of a split."""
        return load_text_splits(args.data, args.task.source_column, args.task.target_column, seed=args.training.seed)

    @classmethod
    def _make(cls, args: Arguments, splits: Any) -> Self:
        return cls.from_options(args.task)

    @classmethod
    def from_options(cls, arguments: Any) -> Self:
        """The task of some lengths, search and prompt: those of `GenerationArguments`.

        Raises:
            InputError: a length below 2, a template without {source}, another number of beams than 1 or more.
        """
        for flag in ("max_source_length", "max_target_length"):
            if getattr(arguments, flag) < 2:
                raise InputError(f"--{flag} {getattr(arguments, flag)}: expected 2 or more, a token and the end token")
        for flag, least in (("max_new_tokens", 1), ("num_beams", 1), ("no_repeat_ngram_size", 0)):
            value = getattr(arguments, flag)
            if value is not None and value < least:
                raise InputError(f"--{flag} {value}: expected {least} or more")
        check_template(arguments.prompt_template)
        return cls(
            arguments.max_source_length,
            arguments.max_target_length,
            arguments.max_new_tokens or arguments.max_target_length,
            arguments.num_beams,
            arguments.length_penalty,
            arguments.no_repeat_ngram_size,
            arguments.prompt_template,
            arguments.use_chat_template,
            arguments.source_lang,
            arguments.target_lang,
        )

    @classmethod
    def from_config(cls, config: Any, name: str) -> Self:
        """The task that a trained model's config describes.

        Raises:
            InputError: the config does not say how the model was asked.
        """
        kept = dict(config.to_dict().get("llmtune", {}))
        if "max_new_tokens" not in kept:
            raise InputError(
                f"{name}: its config does not say what the model was asked (llmtune), so its answers would not be "
                "those of its training; give a run of a recipe"
            )
        return cls(**{key: value for key, value in kept.items() if key != "task"})

    @property
    def max_length(self) -> int:
        """Tokens that a model must read at most: a decoder has source and answer in one row."""
        return self.max_source_length + self.longest_answer

    @property
    def longest_answer(self) -> int:
        """Tokens of an answer, in training and after it."""
        return max(self.max_target_length, self.max_new_tokens)

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction asks what evaluation asked."""
        return {"task": self.name, **{name: value for name, value in vars(self).items() if name != "metrics"}}

    def for_model(self, loaded: LoadedModel) -> Self:
        """The task for a loaded model: its family, and lengths that the model can read.

        Raises:
            InputError: as `fitted`.
        """
        return self.fitted(loaded.tokenizer, decoder=loaded.facts.is_causal, limit=loaded.max_length)

    def fitted(self, tokenizer: PreTrainedTokenizerBase, *, decoder: bool, limit: int) -> Self:
        """The task for a tokenizer and a model that reads `limit` tokens.

        Args:
            tokenizer: of the model; its languages are set.
            decoder: whether it is one.
            limit: tokens that the model reads at most.

        Raises:
            InputError: no room for a source beside the answer, no chat template, or a language the tokenizer lacks.
        """
        if self.use_chat_template and (not decoder or not tokenizer.chat_template):
            what = "its tokenizer has none" if decoder else "the model is no decoder"
            raise InputError(f"--use_chat_template: {what}; leave it out, or give --prompt_template")
        self.set_languages(tokenizer)
        default = self.decoder_template if decoder and not self.use_chat_template else "{source}"
        task = replace(self, decoder=decoder, prompt_template=self.prompt_template or default)
        answer = self.longest_answer
        room = limit - answer if decoder else limit
        least = len(task.prompt_ids("", tokenizer)) + 1
        if room < least or answer > limit:
            raise InputError(
                f"the model reads {limit:,} tokens: {answer:,} for the answer ({self.length_flags}) "
                f"leave {max(room, 0):,} for the source, expected {least} or more; lower them"
            )
        return replace(task, max_source_length=min(self.max_source_length, room))

    def input_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The source."""
        return {"source": columns.get("source", self.arguments_type().source_column)}

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """`source`, and where they are wanted the targets."""
        usual = self.arguments_type()
        named = {"source": usual.source_column, "target": usual.target_column}
        return load_text_split(data, {**named, **columns}, labeled=labeled)

    def train_texts(self, splits: Any) -> list[str]:
        """Sources and targets of train."""
        return list(splits.texts("train", "source", "target"))

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> Encoded:
        """Rows with `source` (and `target`) → `input_ids`, `attention_mask` (and `labels`).

        Of a decoder `input_ids` are prompt, answer and end token, and `labels` are -100 on the prompt; without targets
        they are the prompt.
        """
        self.set_languages(tokenizer)
        sources, cut_sources = self.fit_sources(list(rows["source"]), tokenizer)
        targets = [primary_reference(target) for target in rows["target"]] if "target" in rows.column_names else None
        inputs, cut_targets = self.tokenize_fitting(sources, targets, tokenizer)
        notes = [f"sources truncated at {self.max_source_length} tokens: {cut_sources or 'none'}"]
        facts = {"truncated": cut_sources, "truncated_targets": cut_targets}
        return Encoded(rows, inputs, split, tokenizer, facts, notes)

    def data_collator(self, tokenizer: PreTrainedTokenizerBase, model: Any = None) -> GenerationCollator:
        """Pads each micro-batch; a sequence-to-sequence model also gets `decoder_input_ids`, for the exact loss."""
        return GenerationCollator(tokenizer, None if self.decoder else model)

    def loss(self, args: Arguments, splits: Any) -> TokenCrossEntropy:
        """Cross entropy of the answer and its end, not of the prompt."""
        return TokenCrossEntropy(self.decoder, args.training.label_smoothing_factor)

    def generation(self, tokenizer: PreTrainedTokenizerBase) -> Generation:
        """Writes with this task's search."""
        return Generation(self.generation_config, tokenizer, decoder=self.decoder)

    def written(self, outputs: Any, encoded: Encoded) -> tuple[list[str], np.ndarray]:
        """The answers, and whether each came to its end within max_new_tokens (n,), from what the generation kept."""
        ids, ended, *_ = outputs
        return self.decode(ids.tolist(), encoded.tokenizer), np.asarray(ended, dtype=bool)

    @staticmethod
    def nats(outputs: Any) -> dict[str, list[float]]:
        """The column `nll` of what the generation kept; none of answers that came without their references' nats."""
        _, _, *nats = outputs
        return {"nll": np.asarray(nats[0], dtype=np.float64).tolist()} if nats else {}

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table of a split whose targets are known; every column of the rows is carried.

        Besides: `ended` (whether the answer came to its end within max_new_tokens), `length` (words of the source), and
        `nll` (nats of the reference).
        """
        rows = encoded.rows
        answers, ended = self.written(outputs, encoded)
        sources = list(rows["source"])
        columns = {"source": sources, "reference": list(rows["target"]), "prediction": answers}
        carried = {name: list(rows[name]) for name in rows.column_names if name not in ("source", "target")}
        carried |= {"ended": ended.tolist(), "length": [len(split_at_spaces(source)) for source in sources]}
        carried |= self.nats(outputs)
        language = {"language": self.target_lang} if self.target_lang else {}
        settings = self.settings(task=self.name, unfinished=int((~ended).sum()), **language)
        return make_predictions(self.kind, columns, carried=carried, split=encoded.split, settings=settings)

    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """`source`, `prediction` and `ended`, and a line on answers that did not end."""
        answers, ended = self.written(outputs, encoded)
        columns = {"source": list(encoded.rows["source"]), "prediction": answers, "ended": ended.tolist()}
        most = self.max_new_tokens
        return columns, [f"answers that did not end within {most} tokens: {int((~ended).sum()) or 'none'}"]

    def rescored(self, table: Predictions) -> datasets.Dataset:
        """Sources and targets."""
        return datasets.Dataset.from_dict({"source": table.column("source"), "target": table.column("reference")})

    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """A text that is copied, or the targets of a split."""
        text = "one two three four five"
        sources, targets = ([text], [text]) if rows is None else (list(rows["source"]), list(rows["target"]))
        answers = [primary_reference(target) for target in targets]
        return make_predictions(self.kind, {"source": sources, "reference": targets, "prediction": answers})

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """The sources."""
        return Examples(list(rows["source"]))

    def summary(self, splits: Any, encoded: Mapping[str, Encoded]) -> list[str]:
        """Rows, words, repeated sources, what was cut, what the model is asked."""
        lines, described = [], splits.describe()
        for split, facts in described.items():
            sources = sum(len(split_at_spaces(text)) for text in splits[split]["source"])
            targets = sum(len(split_at_spaces(primary_reference(target))) for target in splits[split]["target"])
            lines.append(
                f"{split:<11}{facts['rows']:>8,} rows, {sources:,} words of sources, {targets:,} of targets; "
                f"{facts['made']}"
            )
        repeats = {pair: n for facts in described.values() for pair, n in facts["duplicates"].items()}
        lines.append(f"repeated sources: {count_splits(repeats)}")
        for what, key, most in (
            ("sources", "truncated", self.max_source_length),
            ("targets", "truncated_targets", self.max_target_length),
        ):
            cut = count_splits({split: of_split.facts[key] for split, of_split in encoded.items()})
            lines.append(f"{what} truncated at {most} tokens: {cut}")
        asked = self.prompt_of("…")
        return [*lines, f"the model reads {asked!r} and answers with at most {self.max_new_tokens} tokens"]

    def run_facts(self, predictions: Mapping[str, Predictions], *, seed: int) -> dict[str, Any]:
        """Answers that did not come to their end."""
        return {"unfinished_answers": {split: table.settings["unfinished"] for split, table in predictions.items()}}

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """Signatures, outputs that are no answer."""
        notes = [f"{name}: {scores[name].signature}" for name in ("bleu", "chrf") if name in scores]
        rates = {name: rate for name, rate in degenerate_output(test).numbers.items() if isinstance(rate, Mapping)}
        shares = [f"{name} {rate['value']:.1%}" for name, rate in rates.items() if "value" in rate]
        if shares:
            notes.append(f"degenerate outputs: {', '.join(shares)}")
        return notes

    def cautions(self, test: Predictions, facts: Mapping[str, Any]) -> list[str]:
        """Answers that did not end."""
        unfinished, most = test.settings["unfinished"], self.max_new_tokens
        if not unfinished:
            return []
        return [f"{unfinished:,} answers did not end within {most} tokens: raise --max_new_tokens"]

    def samples(self, table: Predictions) -> list[dict[str, str]]:
        """Source, reference and prediction of the first rows."""
        parts = ("source", "reference", "prediction")
        rows = table.table.slice(0, SAMPLES).to_pylist()
        return [{part: truncated_line(primary_reference(row[part]), SAMPLE_LENGTH) for part in parts} for row in rows]


def primary_reference(target: str | Sequence[str]) -> str:
    """The reference that is trained on: the first, where there are several."""
    return target if isinstance(target, str) else target[0]
