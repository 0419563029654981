"""What a model that writes reads and learns: prompts, answers and languages as ids, and how it searches.

A sequence-to-sequence model reads the source and learns the target. A decoder (Llama, Mistral) reads a prompt and goes
on from there: in training prompt, answer and end token stand in one row and the loss is on answer and end alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import torch
from transformers import GenerationConfig, PreTrainedTokenizerBase

from llmtune.errors import InputError
from llmtune.metrics.core.base import IGNORED
from llmtune.tasks.control_tokens import encode_template, encode_text, turn_end
from llmtune.tasks.text_generation.collator import decoder_inputs
from llmtune.text.templates import template_fields

# What a checkpoint's generation_config keeps of its own: the tokens it starts with, and those it never writes.
SPECIAL_TOKEN_FIELDS = (
    "bos_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
    "renormalize_logits",  # Marian's, beside its bad_words_ids
)
FIELDS = ("source", "source_lang", "target_lang")


@dataclass(frozen=True)
class Prompts:
    """How a model is asked, and how its answer is searched for.

    Args:
        max_source_length: tokens of source or prompt.
        max_target_length: tokens of a training target.
        max_new_tokens: of an answer.
        num_beams: of the search; 1 is greedy.
        length_penalty: of beams.
        no_repeat_ngram_size: an answer says no such n-gram twice; 0 allows it.
        prompt_template: with {source}; None for the default of the family, known once the model is loaded.
        use_chat_template: of a chat decoder.
        source_lang: as the tokenizer names it.
        target_lang: likewise.
        decoder: whether the model is a decoder: known once it is loaded.
    """

    max_source_length: int
    max_target_length: int
    max_new_tokens: int
    num_beams: int = 1
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    prompt_template: str | None = None
    use_chat_template: bool = False
    source_lang: str | None = None
    target_lang: str | None = None
    decoder: bool = False

    def set_languages(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Tells a tokenizer of many languages (mBART, NLLB, M2M100) which two are meant.

        Raises:
            InputError: it needs to be told and was not, or does not know the language.
        """
        if not hasattr(tokenizer, "src_lang"):
            return
        known = language_codes(tokenizer)
        for flag, attribute in (("source_lang", "src_lang"), ("target_lang", "tgt_lang")):
            given = getattr(self, flag)
            if known and given not in known:
                said = "is not given" if given is None else f"{given}: is not a language of this tokenizer"
                raise InputError(f"--{flag} {said}; it knows {', '.join(sorted(known)[:60])}")
            setattr(tokenizer, attribute, given)

    def tokenize_fitting(
        self, sources: Sequence[str], targets: Sequence[str] | None, tokenizer: PreTrainedTokenizerBase
    ) -> tuple[datasets.Dataset, int]:
        """The columns of `encode` of sources that `fit_sources` gave, and how many targets were cut."""
        prompts = [self.prompt_ids(source, tokenizer) for source in sources]
        columns: dict[str, Any] = {"input_ids": prompts}
        cut_targets = 0
        if targets is not None:
            answers = [
                self.answer_ids(source, target, tokenizer) for source, target in zip(sources, targets, strict=True)
            ]
            most = self.max_target_length
            cut_targets = sum(len(answer) > most for answer in answers)
            # The end stays, which in mBART is </s> and a language: what is cut is the text.
            codes = set(language_codes(tokenizer).values())
            ends = [2 if answer[-1] in codes else 1 for answer in answers]
            answers = [
                answer if len(answer) <= most else [*answer[: most - end], *answer[-end:]]
                for answer, end in zip(answers, ends, strict=True)
            ]
            columns["labels"] = answers
            if self.decoder:
                columns["input_ids"] = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
                columns["labels"] = [
                    [IGNORED] * len(prompt) + answer for prompt, answer in zip(prompts, answers, strict=True)
                ]
        columns["attention_mask"] = [[1] * len(ids) for ids in columns["input_ids"]]
        return datasets.Dataset.from_dict(columns), cut_targets

    def prompt_of(self, source: str) -> str:
        """The text that the model reads for a source."""
        template = self.prompt_template or "{source}"
        return template.format(source=source, source_lang=self.source_lang, target_lang=self.target_lang)

    def prompt_ids(self, source: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        """The ids that the model reads for a source."""
        if self.use_chat_template:
            ids = self._chat_ids([source], tokenizer, add_generation_prompt=True)
        else:
            ids = encode_template(
                tokenizer, [source], fill=lambda texts: self.prompt_of(*texts), add_special_tokens=True
            )
            if self.decoder and ids and ids[-1] == tokenizer.eos_token_id:
                ids = ids[:-1]  # some tokenizers end every text: here the answer is still to come
        return list(ids)

    def answer_ids(self, source: str, target: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        """The ids that the model shall write: the target and the end token.

        Raises:
            InputError: a chat template that does not go on where the prompt ends.
        """
        if self.use_chat_template:
            whole = self._chat_ids([source, target], tokenizer)
            prompt = self.prompt_ids(source, tokenizer)
            if whole[: len(prompt)] != prompt:
                raise InputError(
                    "--use_chat_template: with the answer the template gives another prompt than without, so no loss "
                    "can be on the answer alone; give --prompt_template"
                )
            answer = whole[len(prompt) :]
            end = turn_end(answer, tokenizer)
            return [*answer, tokenizer.eos_token_id] if end is None else answer[:end]
        if self.decoder:
            return [*encode_text(tokenizer, target, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        return list(encode_text(tokenizer, None, text_target=target)["input_ids"])

    def _chat_ids(self, texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, **options: Any) -> list[int]:
        """The ids of a source, or of a source and its answer, as the chat template writes them."""

        def chat(texts: Sequence[str]) -> str:
            contents = [self.prompt_of(texts[0]), *texts[1:]]
            turns = [
                {"role": role, "content": text} for role, text in zip(("user", "assistant"), contents, strict=False)
            ]
            # Qwen3 would write an empty thought into each answer; other templates do not read this.
            return str(tokenizer.apply_chat_template(turns, tokenize=False, enable_thinking=False, **options))

        return encode_template(tokenizer, texts, fill=chat, add_special_tokens=False)

    def fit_sources(self, sources: list[str], tokenizer: PreTrainedTokenizerBase) -> tuple[list[str], int]:
        """The sources, those that are too long without their ends; and how many those are."""
        room = self.max_source_length - len(self.prompt_ids("", tokenizer))
        fitting, cut = [], 0
        encoded = encode_text(tokenizer, sources, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
        for row, (source, ids) in enumerate(zip(sources, encoded["input_ids"], strict=True)):
            if len(ids) <= room or len(self.prompt_ids(source, tokenizer)) <= self.max_source_length:
                fitting.append(source)
                continue
            cut += 1
            # What stands around the source in a template may join its first and last token: two tokens are kept free.
            kept = max(1, room - 2)
            if tokenizer.is_fast:
                fitting.append(source[: encoded["offset_mapping"][row][kept - 1][1]])
            else:
                fitting.append(tokenizer.decode(ids[:kept], skip_special_tokens=True))
        return fitting, cut

    def generation_config(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
        """How answers are made: the model's own tokens, our search. Nothing is drawn at random."""
        self.set_languages(tokenizer)
        own = model.generation_config.to_dict()
        config = GenerationConfig(
            **{name: own[name] for name in SPECIAL_TOKEN_FIELDS if own.get(name) is not None},
            max_new_tokens=self.max_new_tokens,
            num_beams=self.num_beams,
            length_penalty=self.length_penalty,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
            early_stopping=False,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=self.eos_token_ids(model, tokenizer),
        )
        if self.decoder:
            return config
        # As in training: mBART-25 starts with the language, mBART-50 and NLLB write it first.
        answer = torch.tensor([self.answer_ids("a", "a", tokenizer)])
        start = int(decoder_inputs(model, answer)[0, 0])
        config.decoder_start_token_id = start
        code = language_codes(tokenizer).get(str(self.target_lang))
        if code is not None:
            config.forced_bos_token_id = None if code == start else code
        return config

    def eos_token_ids(self, model: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        """The tokens that end an answer."""
        known = model.generation_config.eos_token_id
        ids = {*(known if isinstance(known, list) else [known]), tokenizer.eos_token_id}
        if self.use_chat_template:
            ids.add(self.answer_ids("a", "a", tokenizer)[-1])
        return sorted(token for token in ids if token is not None)

    def decode(self, ids: Sequence[Sequence[int]], tokenizer: PreTrainedTokenizerBase) -> list[str]:
        """The texts of answers as ids, -100 where a row is shorter."""
        rows = [[token for token in row if token >= 0] for row in ids]
        return [text.strip() for text in tokenizer.batch_decode(rows, skip_special_tokens=True)]


def language_codes(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The languages of a tokenizer of many languages and the ids of their tokens; empty for others."""
    codes: dict[str, int] = dict(getattr(tokenizer, "lang_code_to_id", None) or {})
    if not codes and hasattr(tokenizer, "src_lang"):
        codes = {
            token: tokenizer.convert_tokens_to_ids(token)
            for token in tokenizer.all_special_tokens
            if len(token) in (5, 8) and token[2:3] == "_" or len(token) == 8 and token[3:4] == "_"
        }
    return codes


def check_template(template: str | None) -> None:
    """Raises InputError for a template without {source}, or with another name in braces."""
    if template is None:
        return
    try:
        fields = template_fields(template)
    except ValueError as error:
        raise InputError(f"--prompt_template {template!r}: {error}; write {{{{ for a brace") from error
    unknown = [name for name in fields if name not in FIELDS]
    if unknown or "source" not in fields:
        what = f"{{{unknown[0]}}} is unknown" if unknown else "{source} is missing"
        raise InputError(
            f"--prompt_template {template!r}: {what}; it may hold {{source}}, {{source_lang}}, {{target_lang}}"
        )
