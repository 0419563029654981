"""Causal language modeling: a decoder learns to write texts, completions or the assistant's turns of chats.

It is judged by the perplexity of what it learns to write: of each row the nats, tokens, bytes and words, from its own
log-probabilities. Training rows may be packed; validation and test are scored in rolling windows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import datasets
import numpy as np
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from llmtune.arguments import DataArguments
from llmtune.arguments.parser import Arguments
from llmtune.baselines import byte_ngram
from llmtune.data import Fingerprint, Splits
from llmtune.diagnosis.leakage import Examples
from llmtune.errors import InputError
from llmtune.metrics import Score
from llmtune.models.loaded import LoadedModel
from llmtune.predictions import Predictions, make_predictions
from llmtune.tasks.causal_lm import chats
from llmtune.tasks.causal_lm.arguments import CausalLMArguments
from llmtune.tasks.causal_lm.collator import CausalLMCollator, check_packing
from llmtune.tasks.causal_lm.prompts import assistant_turns, beginnings, watched_prompts
from llmtune.tasks.causal_lm.rows import TRANSCRIPT, RowReader
from llmtune.tasks.causal_lm.scoring import LikelihoodScoring
from llmtune.tasks.causal_lm.sequences import (
    MESSAGES,
    PROMPT_COMPLETION,
    TEXT,
    completion_sequences,
    first_ids,
    text_sequences,
)
from llmtune.tasks.causal_lm.windows import TokenSequence, Windows, make_windows
from llmtune.tasks.losses import TokenCrossEntropy
from llmtune.tasks.task import Encoded, Task, count_splits
from llmtune.text.byte_ngrams import ORDER
from llmtune.text.words import split_at_spaces

CONTINUED = 100  # test rows that are continued, for the check of degenerate outputs

UNCARRIED = ("completion", "messages", TRANSCRIPT)  # columns of rows that the table's `text` holds


@dataclass(frozen=True)
class CausalLM(Task):
    """What a language model reads and learns.

    Args:
        input_format: text, prompt_completion or messages.
        max_length: tokens of a window.
        stride: tokens that a window of validation and test shares with the one before.
        packing: whether training windows share rows.
        max_new_tokens: of an answer.
        document_start: of txt files, what begins a document.
        prompts: that are answered at each evaluation in training.
        positions: tokens that a trained model reads at most; None before one is loaded.
    """

    input_format: str = TEXT
    max_length: int = 1024
    stride: int = 1
    packing: bool = True
    max_new_tokens: int = 64
    document_start: str | None = None
    prompts: tuple[str, ...] = ()
    positions: int | None = None

    name = "causal-lm"
    kind = "language-modeling"
    architecture = "ForCausalLM"
    auto_model = AutoModelForCausalLM
    families = ("decoder",)
    deciding_metric = "perplexity"
    index_type = Windows

    @property
    def shown(self) -> tuple[str, ...]:
        """Metrics on the line of an evaluation in training."""
        return ("perplexity", "bits_per_byte")

    @classmethod
    def read(cls, args: Arguments) -> Splits:
        """Texts, prompts with completions, or chats; rows with an equal text or prompt stay on one side of a split."""
        task = args.task
        columns = {name: getattr(task, f"{name}_column") for name in ("text", "prompt", "completion", "messages")}
        return RowReader(task.input_format, columns, task.document_start).splits(args.data, seed=args.training.seed)

    @classmethod
    def _make(cls, args: Arguments, splits: Splits) -> Self:
        task = args.task
        made = cls(
            task.input_format,
            task.max_length,
            task.stride,
            task.packing,
            task.max_new_tokens,
            task.document_start,
            tuple(task.sample_prompts) or watched_prompts(splits["validation"]),
        )
        made.check_lengths()
        return made

    @classmethod
    def from_config(cls, config: Any, name: str) -> Self:
        """The task that a trained model's config describes; of a checkpoint made elsewhere texts in our windows."""
        settings = dict(config.to_dict().get("llmtune", {}))
        task = cls(**{key: value for key, value in settings.items() if key != "task"})
        positions = int(config.max_position_embeddings)
        return replace(task, max_length=min(task.max_length, positions), positions=positions)

    def read_as(self, **options: Any) -> Self:
        """With other windows or another format of the rows, so that a model can be scored as another one was.

        Raises:
            InputError: lengths that can't be.
        """
        task = replace(self, **{name: value for name, value in options.items() if value is not None})
        task.check_lengths()
        return task

    def check_lengths(self) -> None:
        """Raises `InputError` for lengths that can't be."""
        for flag, least in (("max_length", 2), ("stride", 1), ("max_new_tokens", 1)):
            if getattr(self, flag) < least:
                raise InputError(f"--{flag} {getattr(self, flag)}: expected {least} or more")
        if self.positions is not None and self.max_length > self.positions:
            raise InputError(
                f"--max_length {self.max_length}: expected at most the {self.positions} that the model reads"
            )
        if self.stride >= self.max_length:
            raise InputError(
                f"--stride {self.stride}: windows of {self.max_length} tokens share fewer than that; half the length "
                "is a good stride"
            )

    def to_config(self) -> dict[str, Any]:
        """What the model's config keeps, so that prediction scores as evaluation did."""
        names = ("input_format", "max_length", "stride", "max_new_tokens", "document_start")
        return {"task": self.name, **{name: getattr(self, name) for name in names}}

    def for_model(self, loaded: LoadedModel) -> Self:
        """The task with windows as long as the model reads.

        Raises:
            InputError: the stride leaves no room, or the model's attention does not keep packed windows apart.
        """
        task = replace(self, max_length=loaded.max_length)
        task.check_lengths()
        if self.packing:
            check_packing(loaded.model)
        return task

    def input_columns(self, columns: Mapping[str, str]) -> dict[str, str]:
        """The text or the prompt; a chat is a list of turns, and what is empty in it is said when it is read."""
        name = {TEXT: "text", MESSAGES: ""}.get(self.input_format, "prompt")
        usual = CausalLMArguments()
        return {name: columns.get(name) or getattr(usual, f"{name}_column")} if name else {}

    def read_split(
        self, data: DataArguments, columns: Mapping[str, str], *, labeled: bool
    ) -> tuple[datasets.Dataset, Fingerprint]:
        """The test split in the format that the model was trained on."""
        usual = CausalLMArguments()
        named = {name: getattr(usual, f"{name}_column") for name in ("text", "prompt", "completion", "messages")}
        return RowReader(self.input_format, {**named, **columns}, self.document_start).split(data, labeled=labeled)

    def train_texts(self, splits: Splits) -> list[str]:
        """All texts of train, prompts and completions alike."""
        if self.input_format == MESSAGES:
            return [turn["content"] for chat in splits["train"]["messages"] for turn in chat]
        names = ("text",) if self.input_format == TEXT else ("prompt", "completion")
        return list(splits.texts("train", *names))

    def sequences(
        self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, *, ends: bool
    ) -> list[TokenSequence]:
        """Each row as tokens, and which of them are learned; texts and completions with their `ends` or without."""
        if self.input_format == TEXT:
            return text_sequences(list(rows["text"]), tokenizer, ends=ends)
        if self.input_format == MESSAGES:
            return chats.chat_sequences(list(rows["messages"]), tokenizer)
        return completion_sequences(list(rows["prompt"]), list(rows["completion"]), tokenizer, ends=ends)

    def scored_texts(self, rows: datasets.Dataset) -> list[str]:
        """What the model learns to write of each row; of a chat all turns of the assistant, one a line."""
        if self.input_format == MESSAGES:
            return ["\n".join(assistant_turns(chat)) for chat in rows["messages"]]
        return list(rows["text"] if self.input_format == TEXT else rows["completion"])

    def is_answered(self, rows: datasets.Dataset) -> bool:
        """Whether the rows hold what the model shall write."""
        if self.input_format == MESSAGES:
            return all(chat[-1]["role"] == "assistant" for chat in rows["messages"])
        return self.input_format == TEXT or "completion" in rows.column_names

    def encode(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, split: str = "test") -> Encoded:
        """Rows as windows with labels; rows of train are packed where that was asked for.

        Prompts without answers become what the model reads to answer them, without labels.
        """
        if split == "test" and not self.is_answered(rows):
            return self._encode_prompts(rows, tokenizer)
        train = split == "train"
        sequences = self.sequences(rows, tokenizer, ends=train)
        windows = make_windows(
            sequences,
            length=self.max_length,
            stride=1 if train else self.stride,
            full_context=not train,
            packed=train and self.packing,
        )
        learned = sum(sum(row.learned) for row in sequences)
        facts = {
            "windows": {
                "windows": len(windows.sequence),
                "rows": len(windows.inputs),
                "split_rows": windows.split_rows,
                "learned_tokens": learned,
                "fill": windows.fill,
            }
        }
        notes = [f"rows split into windows of {self.max_length} tokens: {windows.split_rows or 'none'}"]
        return Encoded(rows, windows.inputs, split, tokenizer, facts, notes, windows)

    def _encode_prompts(self, rows: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> Encoded:
        ids = [self.prompt_ids(prompt, tokenizer) for prompt in rows[self._prompt_column]]
        mask = [[1] * len(row) for row in ids]
        inputs = datasets.Dataset.from_dict({"input_ids": ids, "attention_mask": mask})
        room = self.max_length - self.max_new_tokens
        cut = sum(len(row) == room for row in ids)
        return Encoded(rows, inputs, "test", tokenizer, {}, [f"prompts of {room} tokens or more: {cut or 'none'}"])

    @property
    def _prompt_column(self) -> str:
        return {TEXT: "text", PROMPT_COMPLETION: "prompt", MESSAGES: "messages"}[self.input_format]

    def data_collator(self, tokenizer: PreTrainedTokenizerBase, model: Any = None) -> CausalLMCollator:
        """Pads each micro-batch to its longest row."""
        return CausalLMCollator(tokenizer)

    def loss(self, args: Arguments, splits: Splits) -> TokenCrossEntropy:
        """Cross entropy of the learned tokens."""
        return TokenCrossEntropy(True, args.training.label_smoothing_factor)

    def generation(self, tokenizer: PreTrainedTokenizerBase) -> LikelihoodScoring:
        """Scores rows; answers prompts, and goes on with a text by drawing."""
        ids = [self.prompt_ids(prompt, tokenizer) for prompt in self.prompts]
        draws = self.input_format == TEXT
        return LikelihoodScoring(tokenizer, self.max_new_tokens, draws=draws, prompts=self.prompts, prompt_ids=ids)

    def prompt_ids(self, prompt: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        """What the model reads to go on with a prompt, or with a chat; of a long one the last tokens."""
        if self.input_format == MESSAGES:
            chat = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
            ids = chats.prompt_ids(chat, tokenizer)
        else:
            ids = list(text_sequences([prompt], tokenizer, ends=False)[0].ids)
        return list(ids[-max(1, self.max_length - self.max_new_tokens) :])

    def columns(self, outputs: Any, encoded: Encoded) -> dict[str, list[Any]]:
        """`nll`, `tokens`, `bytes`, `words` and `correct` of each row, from what the scoring kept of its windows."""
        correct, tokens, nats = (np.asarray(sums, dtype=np.float64) for sums in outputs)
        n, windows = len(encoded.rows), encoded.index
        texts = self.scored_texts(encoded.rows)
        return {
            "nll": windows.sums(nats, n).tolist(),
            "tokens": windows.sums(tokens, n).astype(np.int64).tolist(),
            "bytes": [len(text.encode()) for text in texts],
            "words": [len(split_at_spaces(text)) for text in texts],
            "correct": windows.sums(correct, n).astype(np.int64).tolist(),
        }

    def tabulate(self, outputs: Any, encoded: Encoded) -> Predictions:
        """The predictions table: how well each row is predicted; every column of the rows is carried.

        Besides: `text` (what was scored), `length` (its tokens).
        """
        columns = self.columns(outputs, encoded)
        rows = encoded.rows
        carried = {name: list(rows[name]) for name in rows.column_names if name not in UNCARRIED}
        carried |= {"text": self.scored_texts(rows), "length": columns["tokens"]}
        unscored = encoded.facts["windows"]["learned_tokens"] - sum(columns["tokens"])
        first = encoded.tokenizer.convert_ids_to_tokens(first_ids(encoded.tokenizer)) or ["unscored"]
        how = f"window:{self.max_length}|stride:{self.stride}|first:{first[0]}"
        settings = self.settings(task=self.name, scoring=how, unscored_tokens=unscored)
        return make_predictions(self.kind, columns, carried=carried, split=encoded.split, settings=settings)

    def rescored(self, table: Predictions) -> datasets.Dataset | None:
        """Texts, or prompts with completions; a chat is not in the table as it was."""
        if self.input_format == MESSAGES:
            return None
        names = {"text": "text"} if self.input_format == TEXT else {"prompt": "prompt", "text": "completion"}
        return datasets.Dataset.from_dict({ours: table.column(name) for name, ours in names.items()})

    def continuations(self, model: Any, encoded: Encoded) -> Predictions | None:
        """What the model writes after the beginnings of the first rows, beside what stands there."""
        rows = encoded.rows.select(range(min(CONTINUED, len(encoded.rows))))
        sources, references = beginnings(self.input_format, rows)
        if not sources:
            return None
        ids = [self.prompt_ids(source, encoded.tokenizer) for source in sources]
        written, ended = self.generation(encoded.tokenizer).answers(model, ids)
        columns: dict[str, Any] = {"reference": references, "prediction": [text.strip() for text in written]}
        if self.input_format != TEXT:  # a text goes on without end
            columns |= {"ended": ended}
        if self.input_format != MESSAGES:
            columns |= {"source": sources}
        return make_predictions("text-generation", columns, split=encoded.split, settings={"task": self.name})

    def predicted_columns(self, outputs: Any, encoded: Encoded) -> tuple[dict[str, list[Any]], list[str]]:
        """How well each text is predicted; of prompts and chats what the model answers."""
        if encoded.index is not None:
            columns = self.columns(outputs, encoded)
            return columns, [f"scored tokens: {sum(columns['tokens']):,}"]
        ids, ended, *_ = outputs
        rows = [[token for token in row if token >= 0] for row in ids.tolist()]
        answers = encoded.tokenizer.batch_decode(rows, skip_special_tokens=True)
        unfinished = int((np.asarray(ended) == 0).sum())
        columns = {"prediction": answers, "ended": np.asarray(ended, dtype=bool).tolist()}
        return columns, [f"answers that did not end within {self.max_new_tokens} tokens: {unfinished or 'none'}"]

    def example_table(self, rows: datasets.Dataset | None = None) -> Predictions:
        """Rows of which every token is certain."""
        texts = ["one two three"] if rows is None else self.scored_texts(rows)
        words = [len(split_at_spaces(text)) for text in texts]
        columns = {"nll": [0.0] * len(texts), "tokens": words, "bytes": words, "words": words, "correct": words}
        return make_predictions(self.kind, columns)

    def baselines(self, splits: Splits, test: Predictions) -> dict[str, Predictions]:
        """An n-gram model of bytes, trained on what the model learns to write."""
        return {f"{ORDER}-gram of bytes": byte_ngram(test, self.scored_texts(splits["train"]))}

    def leakage_examples(self, rows: datasets.Dataset, data: DataArguments) -> Examples:
        """The texts, the prompts, or whole chats: an answer alone may be right twice."""
        name = {TEXT: "text", PROMPT_COMPLETION: "prompt", MESSAGES: TRANSCRIPT}[self.input_format]
        return Examples(list(rows[name]))

    def summary(self, splits: Splits, encoded: Mapping[str, Encoded]) -> list[str]:
        """Rows, bytes, windows, how full the packed rows are."""
        lines = []
        for split, facts in splits.describe().items():
            texts, windows = self.scored_texts(splits[split]), encoded[split].facts["windows"]
            size = sum(len(text.encode()) for text in texts)
            lines.append(
                f"{split:<11}{facts['rows']:>8,} rows, {size:,} bytes and {windows['learned_tokens']:,} tokens to learn"
                f"; {facts['made']}"
            )
        split_rows = count_splits({split: part.facts["windows"]["split_rows"] for split, part in encoded.items()})
        lines.append(f"rows split into windows of {self.max_length} tokens: {split_rows}")
        train = encoded["train"].facts["windows"]
        if train["fill"] is not None:
            lines.append(
                f"{train['windows']:,} training windows packed into {train['rows']:,} rows of {self.max_length} tokens"
                f", {train['fill']:.1%} full; none sees another"
            )
        return lines

    def notes(self, test: Predictions, scores: Mapping[str, Score], facts: Mapping[str, Any]) -> list[str]:
        """How it was scored, and what was not."""
        unscored = test.settings["unscored_tokens"]
        return [
            f"perplexity: {scores['perplexity'].signature}",
            f"tokens not scored (control tokens of chats, a first token with nothing before it): {unscored or 'none'}",
        ]
