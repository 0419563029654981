"""What models that write read and learn: prompts, labels, cuts, left padding, languages."""

import datasets
import pytest
import torch
from transformers import AutoConfig, MBart50Tokenizer, MBartTokenizer, NllbTokenizer

from llmtune.arguments import TrainingArguments
from llmtune.errors import InputError
from llmtune.models.auto_generation import AutoModelForGeneration
from llmtune.models.from_scratch import train_tokenizer
from llmtune.tasks.summarization import Summarization, SummarizationArguments
from llmtune.tasks.text_generation.collator import prompts_of
from llmtune.tasks.translation import Translation, TranslationArguments
from llmtune.training.trainer import FineTuningTrainer

TEXTS = ["the red house", "a green tree is here", "le grand arbre", "la maison rouge"]
CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}:\n{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:\n{% endif %}"
)


SIDE = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}


def tokenizer_of(model_type):
    return train_tokenizer(model_type, TEXTS * 5, 400, 64)


def task_of(**changes):
    return Translation(**{"max_source_length": 20, "max_target_length": 8, "max_new_tokens": 8, **changes})


def rows(sources, targets=None):
    columns = {"source": sources}
    return datasets.Dataset.from_dict(columns if targets is None else {**columns, "target": targets})


def test_a_sequence_to_sequence_model_reads_the_source_and_learns_the_target_with_its_end():
    tokenizer = tokenizer_of("marian")
    task = task_of().fitted(tokenizer, decoder=False, limit=64)

    tokens = task.encode(rows(TEXTS[:1], TEXTS[3:]), tokenizer)

    assert tokenizer.decode(tokens.dataset["input_ids"][0]) == " the red house</s>"
    assert tokenizer.decode(tokens.dataset["labels"][0]) == " la maison rouge</s>"
    assert tuple(tokens.facts.values()) == (0, 0)


def test_a_decoder_learns_the_answer_and_its_end_alone():
    tokenizer = tokenizer_of("llama")
    task = task_of().fitted(tokenizer, decoder=True, limit=64)

    tokens = task.encode(rows(TEXTS[:1], TEXTS[3:]), tokenizer)

    ids, labels = tokens.dataset["input_ids"][0], tokens.dataset["labels"][0]
    learned = [token for token in labels if token != -100]
    assert len(ids) == len(labels)
    assert ids[-len(learned) :] == learned
    assert tokenizer.decode(learned) == " la maison rouge</s>"
    assert tokenizer.decode(ids[: -len(learned)]) == "<s> the red house\n=>"


def test_of_several_references_the_first_is_learned():
    tokenizer = tokenizer_of("marian")

    tokens = task_of().encode(rows(TEXTS[:1], [["la maison rouge", "le grand arbre"]]), tokenizer)

    assert tokenizer.decode(tokens.dataset["labels"][0]) == " la maison rouge</s>"


def test_a_decoders_prompt_keeps_its_end_where_the_source_is_cut():
    tokenizer = tokenizer_of("llama")
    task = task_of(max_source_length=12).fitted(tokenizer, decoder=True, limit=64)

    tokens = task.encode(rows(["red house " * 30, "red"], ["rouge " * 30, "rouge"]), tokenizer)

    prompts = [
        [i for i, label in zip(*pair, strict=True) if label == -100]
        for pair in zip(tokens.dataset["input_ids"], tokens.dataset["labels"], strict=True)
    ]
    assert tuple(tokens.facts.values()) == (1, 1)
    assert len(prompts[0]) <= 12
    assert all(tokenizer.decode(prompt).endswith("\n=>") for prompt in prompts)
    assert tokens.dataset["labels"][0][-1] == tokenizer.eos_token_id
    assert len([label for label in tokens.dataset["labels"][0] if label != -100]) == 8


def test_a_source_is_cut_between_characters_and_keeps_what_the_tokenizer_does_not_know():
    tokenizer = tokenizer_of("marian")
    source = "é[UNK]œ — " * 20

    (kept,), cut = task_of(max_source_length=15).fit_sources([source], tokenizer)

    assert cut == 1
    assert source.startswith(kept)
    assert len(kept) > 3


def test_a_tokenizer_that_ends_every_text_does_not_end_the_prompt():
    tokenizer = tokenizer_of("marian")
    task = task_of().fitted(tokenizer, decoder=True, limit=64)

    assert tokenizer("the")["input_ids"][-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token_id not in task.prompt_ids("the red house", tokenizer)


def test_a_decoder_has_room_for_source_and_answer_or_says_so():
    tokenizer = tokenizer_of("llama")

    assert task_of(max_source_length=60).fitted(tokenizer, decoder=True, limit=64).max_source_length == 56
    with pytest.raises(InputError) as refused:
        task_of().fitted(tokenizer, decoder=True, limit=9)

    assert str(refused.value) == (
        "the model reads 9 tokens: 8 for the answer (--max_target_length, --max_new_tokens) leave 1 for the source, "
        f"expected {len(tokenizer(chr(10) + '=>')['input_ids']) + 1} or more; lower them"
    )


def test_prompts_are_padded_on_the_left_and_without_answers():
    ids = torch.tensor([[5, 6, 7, 8, 0, 0], [5, 9, 9, 9, 9, 9]])
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    labels = torch.tensor([[-100, -100, 7, 8, -100, -100], [-100, -100, -100, 9, 9, 9]])

    prompts, seen = prompts_of(ids, mask, labels, 0)

    assert prompts.tolist() == [[0, 5, 6], [5, 9, 9]]
    assert seen.tolist() == [[0, 1, 1], [1, 1, 1]]
    assert prompts_of(ids, mask, None, 0)[0].tolist() == [[0, 0, 5, 6, 7, 8], [5, 9, 9, 9, 9, 9]]


def test_a_chat_template_marks_where_the_answer_begins_and_ends():
    tokenizer = tokenizer_of("llama")
    tokenizer.chat_template = CHAT
    task = task_of(use_chat_template=True).fitted(tokenizer, decoder=True, limit=64)

    tokens = task.encode(rows(TEXTS[:1], TEXTS[3:]), tokenizer)
    learned = [token for token in tokens.dataset["labels"][0] if token != -100]

    assert tokenizer.decode(task.prompt_ids("the red house", tokenizer)).endswith("<s> assistant:\n")
    assert tokenizer.decode(learned).strip() == "la maison rouge</s>"
    assert tokenizer.eos_token_id in task.eos_token_ids(model("llama", tokenizer), tokenizer)


@pytest.mark.parametrize(("end", "learned"), [("</s>\n", "la maison rouge</s>"), ("\n\n", "la maison rouge\n\n</s>")])
def test_a_chat_answer_ends_with_an_end_token_whatever_the_template_writes_after_it(end, learned):
    tokenizer = tokenizer_of("llama")
    tokenizer.chat_template = CHAT.replace("</s>", end)
    task = task_of(use_chat_template=True, max_target_length=5, max_new_tokens=5)
    task = task.fitted(tokenizer, decoder=True, limit=64)

    answer = task.answer_ids("the red house", "la maison rouge", tokenizer)
    tokens = task.encode(rows(["a"], ["rouge " * 20]), tokenizer)

    assert tokenizer.decode(answer).strip() == learned
    assert tokens.facts["truncated_targets"] == 1
    assert tokens.dataset["labels"][0][-1] == tokenizer.eos_token_id
    assert task.eos_token_ids(model("llama", tokenizer), tokenizer) == [tokenizer.eos_token_id]


def test_a_chat_template_that_can_think_is_asked_not_to():
    tokenizer = tokenizer_of("llama")
    thought = "{% if enable_thinking is not defined %}<think></think>{% endif %}"
    tokenizer.chat_template = CHAT.replace("{{ m['content'] }}", thought + "{{ m['content'] }}")
    task = task_of(use_chat_template=True).fitted(tokenizer, decoder=True, limit=64)

    assert tokenizer.decode(task.answer_ids("a", "la maison", tokenizer)).strip() == "la maison</s>"


@pytest.mark.parametrize(("decoder", "said"), [(True, "its tokenizer has none"), (False, "the model is no decoder")])
def test_a_chat_template_that_is_not_there_is_refused(decoder, said):
    with pytest.raises(InputError, match=f"--use_chat_template: {said}; leave it out, or give --prompt_template"):
        task_of(use_chat_template=True).fitted(tokenizer_of("llama"), decoder=decoder, limit=64)


def model(model_type, tokenizer):
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    tokens = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("pad", "bos", "eos")}
    config = AutoConfig.for_model(model_type, vocab_size=len(tokenizer), **sizes, **tokens)
    config.cls_token_id, config.sep_token_id = tokenizer.cls_token_id, tokenizer.sep_token_id
    return AutoModelForGeneration.from_config(config)


def test_a_pair_of_berts_starts_and_ends_an_answer_with_its_own_tokens(tmp_path):
    tokenizer = tokenizer_of("roberta")
    pair = model("bert", tokenizer)

    config = task_of().fitted(tokenizer, decoder=False, limit=64).generation_config(pair, tokenizer)

    assert (config.decoder_start_token_id, config.eos_token_id) == (tokenizer.cls_token_id, [tokenizer.sep_token_id])
    pair.save_pretrained(tmp_path)
    again, report = AutoModelForGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
    torch.testing.assert_close(
        again.eval()(input_ids=ids, decoder_input_ids=ids).logits,
        pair.eval()(input_ids=ids, decoder_input_ids=ids).logits,
    )


def test_the_search_is_ours_and_nothing_is_drawn():
    tokenizer = tokenizer_of("llama")
    asked = task_of(num_beams=3, no_repeat_ngram_size=2, length_penalty=0.5, decoder=True)

    config = asked.generation_config(model("llama", tokenizer), tokenizer)

    assert (config.num_beams, config.no_repeat_ngram_size, config.length_penalty) == (3, 2, 0.5)
    assert (config.max_new_tokens, config.max_length, config.do_sample) == (8, None, False)


def test_of_a_checkpoints_search_its_tokens_stay_and_nothing_else():
    tokenizer = tokenizer_of("bart")
    writer = sequence_to_sequence("bart", tokenizer)
    own = {"min_length": 56, "forced_eos_token_id": 2, "repetition_penalty": 1.5, "temperature": 0.6, "num_beams": 4}
    for name, value in {**own, "bad_words_ids": [[5]], "forced_bos_token_id": 1}.items():
        setattr(writer.generation_config, name, value)
    task = task_of().fitted(tokenizer, decoder=False, limit=64)

    FineTuningTrainer(
        model=writer,
        args=TrainingArguments(output_dir="none", eval_strategy="no", use_cpu=True, report_to="none"),
        processing_class=tokenizer,
        generation=task.generation(tokenizer),
    )

    used, _ = writer._prepare_generation_config(writer.generation_config)
    assert (used.bad_words_ids, used.forced_bos_token_id) == ([[5]], 1)
    assert (used.min_length, used.forced_eos_token_id, used.repetition_penalty, used.num_beams) == (0, None, 1.0, 1)
    assert used.temperature == 1.0


def many_languages(kind):
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{letter}", -1.0) for letter in "abcdefgh"] + [(letter, -2.0) for letter in "abcdefgh"]
    if kind is NllbTokenizer:
        return kind(vocab={piece: i for i, (piece, _) in enumerate(pieces)}, merges=[])
    return kind(vocab=pieces)


LANGUAGES = pytest.mark.parametrize(
    ("kind", "model_type", "languages", "learned", "read", "begun"),
    [
        (MBartTokenizer, "mbart", ("en_XX", "fr_XX"), "▁b ▁a </s> fr_XX", "fr_XX ▁b ▁a </s>", ("fr_XX", None)),
        (MBart50Tokenizer, "mbart", ("en_XX", "fr_XX"), "fr_XX ▁b ▁a </s>", "</s> fr_XX ▁b ▁a", ("</s>", "fr_XX")),
        (
            NllbTokenizer,
            "m2m_100",
            ("eng_Latn", "fra_Latn"),
            "fra_Latn <unk> b <unk> a </s>",
            "</s> fra_Latn <unk> b <unk> a",
            ("</s>", "fra_Latn"),
        ),
    ],
)


@LANGUAGES
def test_a_model_of_many_languages_starts_an_answer_as_it_was_trained_to(
    kind, model_type, languages, learned, read, begun
):
    tokenizer = many_languages(kind)
    task = task_of(source_lang=languages[0], target_lang=languages[1]).fitted(tokenizer, decoder=False, limit=64)
    translator = sequence_to_sequence(model_type, tokenizer)

    tokens = task.encode(rows(["a b"], ["b a"]), tokenizer)
    batch = task.data_collator(tokenizer, translator)(list(tokens.dataset))
    search = task.generation_config(translator, tokenizer)

    assert languages[0] in tokenizer.convert_ids_to_tokens(tokens.dataset["input_ids"][0])
    assert tokenizer.convert_ids_to_tokens(tokens.dataset["labels"][0]) == learned.split()
    assert tokenizer.convert_ids_to_tokens(batch["decoder_input_ids"][0]) == read.split()
    starts = (search.decoder_start_token_id, search.forced_bos_token_id)
    assert tuple(token if token is None else tokenizer.convert_ids_to_tokens(token) for token in starts) == begun


@LANGUAGES
def test_a_cut_target_keeps_its_end_and_its_language(kind, model_type, languages, learned, read, begun):
    tokenizer = many_languages(kind)
    task = task_of(source_lang=languages[0], target_lang=languages[1], max_target_length=5)

    tokens = task.fitted(tokenizer, decoder=False, limit=64).encode(rows(["a"], ["a b c d e f g h"]), tokenizer)

    kept = tokenizer.convert_ids_to_tokens(tokens.dataset["labels"][0])
    assert (tokens.facts["truncated_targets"], len(kept)) == (1, 5)
    assert "</s>" in kept
    assert languages[1] in kept


def sequence_to_sequence(model_type, tokenizer, **settings):
    sizes = {f"{side}_{size}": n for side in ("encoder", "decoder") for size, n in SIDE.items()}
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    start = {"decoder_start_token_id": tokenizer.eos_token_id, "d_model": 16}
    config = AutoConfig.for_model(model_type, vocab_size=len(tokenizer), **sizes, **tokens, **start, **settings)
    return AutoModelForGeneration.from_config(config)


def test_a_tokenizer_of_many_languages_that_is_told_none_names_them():
    with pytest.raises(InputError) as refused:
        task_of(source_lang="en_XX", target_lang="french").set_languages(many_languages(MBart50Tokenizer))

    assert str(refused.value).startswith(
        "--target_lang french: is not a language of this tokenizer; it knows af_ZA, ar_AR"
    )
    with pytest.raises(InputError, match="--source_lang is not given; it knows af_ZA"):
        task_of().set_languages(many_languages(MBart50Tokenizer))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_source_length": 1}, "--max_source_length 1: expected 2 or more, a token and the end token"),
        ({"max_new_tokens": 0}, "--max_new_tokens 0: expected 1 or more"),
        ({"num_beams": 0}, "--num_beams 0: expected 1 or more"),
        ({"prompt_template": "to French:"}, "{source} is missing; it may hold {source}, {source_lang}, {target_lang}"),
        ({"prompt_template": "{source} {text}"}, "{text} is unknown"),
        ({"prompt_template": "{source"}, "write {{ for a brace"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InputError) as refused:
        Summarization.from_options(SummarizationArguments(**arguments))

    assert message in str(refused.value)


def test_settings_bring_the_task_back():
    task = Translation.from_options(TranslationArguments(num_beams=2, target_lang="fr"))
    config = AutoConfig.for_model("llama")
    config.llmtune = task.to_config()

    assert Translation.from_config(config, "run") == task
    with pytest.raises(InputError, match="run: its config does not say what the model was asked"):
        Translation.from_config(AutoConfig.for_model("llama"), "run")
