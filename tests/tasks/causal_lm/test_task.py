"""Perplexity that is one: against lm-eval, torchmetrics, a uniform model and a calculation by hand."""

import importlib.util
import re

import datasets
import numpy as np
import pytest
import torch
import transformers
from torchmetrics.text import Perplexity

from llmtune.errors import InputError
from llmtune.inference import inference_trainer, predict
from llmtune.metrics import score_predictions
from llmtune.tasks.causal_lm.task import CausalLM
from tests.tasks.causal_lm.models import TEXTS, model_of, tokenizer_of

LENGTH = 12
NEEDS_LM_EVAL = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm_eval is not installed: pip install 'llmtune[benchmark]'"
)


def rows_of(texts=TEXTS, **more):
    return datasets.Dataset.from_dict({"text": list(texts), **more})


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_of()


@pytest.fixture(scope="module")
def model(tokenizer):
    return model_of("llama", tokenizer)


def table_of(model, tokenizer, folder, rows=None, *, batch_size=8, **task):
    task = CausalLM(**{"max_length": LENGTH, **task})
    trainer = inference_trainer(model, tokenizer, task, output_dir=str(folder), batch_size=batch_size)
    encoded = task.encode(rows_of() if rows is None else rows, tokenizer)
    return task.tabulate(predict(trainer, task, encoded), encoded)


def by_hand(model, tokenizer, text, *, inputs, context):
    """Nats of a text in windows of so many inputs that begin with `context` tokens seen before; the last is full."""
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    nats, done = 0.0, 1
    while done < len(ids):
        end = min(len(ids), inputs + 1 if done == 1 else done + inputs - context + 1)
        begin = max(0, end - 1 - inputs)
        with torch.no_grad():
            probabilities = model(torch.tensor([ids[begin : end - 1]])).logits[0].double().log_softmax(-1)
        nats -= sum(probabilities[place - begin - 1, ids[place]].item() for place in range(done, end))
        done = end
    return nats


@pytest.mark.parametrize("stride", [1, 5, 11])
def test_rolling_windows_are_those_of_a_calculation_by_hand(model, tokenizer, tmp_path, stride):
    table = table_of(model, tokenizer, tmp_path, stride=stride)

    expected = [by_hand(model, tokenizer, text, inputs=LENGTH - 1, context=stride) for text in TEXTS]
    np.testing.assert_allclose(table.column("nll"), expected, rtol=1e-5)
    assert table.column("tokens") == [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in TEXTS]
    assert table.column("bytes") == [len(text) for text in TEXTS]
    assert table.column("words") == [len(text.split(" ")) for text in TEXTS]
    assert max(table.column("tokens")) > LENGTH


@NEEDS_LM_EVAL
def test_words_bytes_and_bits_are_those_of_lm_eval(model, tokenizer, tmp_path):
    from lm_eval.api.instance import Instance
    from lm_eval.api.metrics import bits_per_byte, weighted_perplexity
    from lm_eval.models.huggingface import HFLM

    # A window of ours holds one token more than lm-eval gives the model: the last one is only predicted. Left to itself
    # it would set a second <s> before a text, and score the first one.
    options = {"max_length": LENGTH - 1, "batch_size": 4, "device": "cpu", "add_bos_token": False}
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, **options)
    requests = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in TEXTS]
    likelihoods = theirs.loglikelihood_rolling(requests, disable_tqdm=True)

    table = table_of(model, tokenizer, tmp_path)

    np.testing.assert_allclose(table.column("nll"), [-nats for nats in likelihoods], rtol=1e-5)
    scores = score_predictions(table)
    words = [(nats, len(re.split(r"\s+", text))) for nats, text in zip(likelihoods, TEXTS, strict=True)]
    size = [(nats, len(text.encode())) for nats, text in zip(likelihoods, TEXTS, strict=True)]
    assert scores["word_perplexity"].value == pytest.approx(weighted_perplexity(words), rel=1e-4)
    assert 2 ** scores["bits_per_byte"].value == pytest.approx(weighted_perplexity(size), rel=1e-4)
    assert scores["bits_per_byte"].value == pytest.approx(bits_per_byte(size), rel=1e-4)


def test_perplexity_is_that_of_torchmetrics_on_the_logits(model, tokenizer, tmp_path):
    texts = [text for text in TEXTS if len(text.split()) < LENGTH - 2]
    table = table_of(model, tokenizer, tmp_path, rows_of(texts))

    theirs = Perplexity()
    for text in texts:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
        with torch.no_grad():
            theirs.update(model(ids[:, :-1]).logits, ids[:, 1:])
    assert score_predictions(table)["perplexity"].value == pytest.approx(theirs.compute().item(), rel=1e-5)


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(tokenizer, tmp_path):
    model = model_of("llama", tokenizer)
    torch.nn.init.zeros_(model.lm_head.weight)

    table = table_of(model, tokenizer, tmp_path)

    assert score_predictions(table)["perplexity"].value == pytest.approx(len(tokenizer), rel=1e-6)


def test_batch_size_changes_nothing(model, tokenizer, tmp_path):
    nats = [table_of(model, tokenizer, tmp_path, batch_size=size).column("nll") for size in (1, 8, 32)]

    np.testing.assert_allclose(nats[1], nats[0], rtol=1e-5)
    np.testing.assert_allclose(nats[2], nats[0], rtol=1e-5)


def test_packed_rows_have_the_likelihood_of_rows_that_are_not(model, tokenizer, tmp_path):
    sums = []
    for packing in (True, False):
        task = CausalLM(max_length=32, packing=packing)
        trainer = inference_trainer(model, tokenizer, task, output_dir=str(tmp_path), batch_size=4)
        _, tokens, nats = predict(trainer, task, task.encode(rows_of(), tokenizer, "train"))
        sums.append((tokens.sum(), nats.sum()))

    assert sums[0] == pytest.approx(sums[1], rel=1e-5)


def test_ends_are_learned_and_not_scored(tokenizer):
    learned = [
        {
            label
            for row in CausalLM(max_length=32).encode(rows_of(), tokenizer, split).dataset["labels"]
            for label in row
        }
        for split in ("train", "validation")
    ]

    assert learned[0] - learned[1] == {tokenizer.eos_token_id}
    scoring = CausalLM().generation(tokenizer)
    assert {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id} <= set(scoring.unscored)


def test_the_signature_says_windows_and_what_stands_first(model, tokenizer, tmp_path):
    table = table_of(model, tokenizer, tmp_path)

    assert table.settings["unscored_tokens"] == 0
    signature = score_predictions(table)["perplexity"].signature
    assert signature.startswith(f"log:e|average:tokens|units:rows|window:{LENGTH}|stride:1|first:<s>")


def test_without_a_beginning_token_the_end_token_stands_first_and_without_both_the_first_token_is_not_scored(tmp_path):
    tokenizer = tokenizer_of()
    model = model_of("llama", tokenizer)
    tokenizer.bos_token = None
    from_end = table_of(model, tokenizer, tmp_path)
    tokenizer.eos_token = None
    from_nothing = table_of(model, tokenizer, tmp_path)

    assert from_end.settings["scoring"].endswith("first:</s>")
    assert from_nothing.settings["scoring"].endswith("first:unscored")
    assert from_nothing.column("tokens") == [count - 1 for count in from_end.column("tokens")]
    assert from_nothing.settings["unscored_tokens"] == len(TEXTS)


def test_a_word_that_the_tokenizer_does_not_know_is_not_for_free(tmp_path):
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=word_level(), unk_token="<unk>", bos_token="<s>")
    tokenizer.pad_token = "<pad>"
    model = model_of("llama", tokenizer)

    table = table_of(model, tokenizer, tmp_path, rows_of(["the mill zzz", "the mill"]))

    assert table.column("tokens") == [3, 2]


def word_level():
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel

    tokenizer = Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "<pad>": 2, "the": 3, "mill": 4}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_of_a_completion_only_its_own_tokens_bytes_and_words_count(model, tokenizer, tmp_path):
    rows = datasets.Dataset.from_dict(
        {"prompt": ["the old miller", "past town"], "completion": ["counted", "the river"]}
    )

    table = table_of(model, tokenizer, tmp_path, rows, input_format="prompt_completion")

    assert table.column("tokens") == [1, 2]
    assert table.column("bytes") == [7, 9]
    assert table.column("words") == [1, 2]
    assert table.column("text") == ["counted", "the river"]
    assert table.column("prompt") == ["the old miller", "past town"]
    ids = [tokenizer.bos_token_id, *tokenizer("past town the river", add_special_tokens=False)["input_ids"]]
    with torch.no_grad():
        probabilities = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    expected = -sum(probabilities[place - 1, ids[place]].item() for place in (3, 4))
    assert table.column("nll")[1] == pytest.approx(expected, rel=1e-5)


def test_every_column_of_the_rows_is_carried(model, tokenizer, tmp_path):
    table = table_of(model, tokenizer, tmp_path, rows_of(TEXTS[:2], author=["a", "b"], id=[7, 9]))

    assert table.column("author") == ["a", "b"]
    assert table.column("id") == [7, 9]
    assert table.column("length") == table.column("tokens")


def test_prompts_without_answers_are_answered(model, tokenizer, tmp_path):
    task = CausalLM("prompt_completion", 32, max_new_tokens=5)
    trainer = inference_trainer(model, tokenizer, task, output_dir=str(tmp_path), batch_size=2)
    encoded = task.encode(datasets.Dataset.from_dict({"prompt": ["the mill", "old"]}), tokenizer)

    columns, lines = task.predicted_columns(predict(trainer, task, encoded), encoded)

    ids = task.prompt_ids("the mill", tokenizer)
    alone = model.generate(torch.tensor([ids]), max_new_tokens=5, do_sample=False, eos_token_id=tokenizer.eos_token_id)
    assert columns["prediction"][0] == tokenizer.decode(alone[0, len(ids) :], skip_special_tokens=True)
    assert lines == [f"answers that did not end within 5 tokens: {columns['ended'].count(False) or 'none'}"]


def test_the_continuations_of_prompts_are_drawn_and_the_same_each_time(model, tokenizer):
    scoring = CausalLM(max_length=32, max_new_tokens=6, prompts=("the mill", "old")).generation(tokenizer)
    scoring.prepare(model)

    before = torch.get_rng_state()
    first, second = scoring.samples(model), scoring.samples(model)

    assert first == second
    assert [sample["prompt"] for sample in first] == ["the mill", "old"]
    assert all(sample["answer"].strip() for sample in first)
    assert torch.equal(torch.get_rng_state(), before), "training's own draws go on as they would have"


def test_a_stride_that_leaves_no_room_is_refused():
    with pytest.raises(InputError, match="--stride 12: windows of 12 tokens share fewer than that"):
        CausalLM(stride=12).for_model(type("Loaded", (), {"max_length": 12}))
    with pytest.raises(InputError, match="--max_new_tokens 0: expected 1 or more"):
        CausalLM().read_as(max_length=4, stride=None).read_as(max_new_tokens=0)


def test_windows_are_not_longer_than_a_trained_model_reads(model):
    task = CausalLM.from_config(model.config, "model")

    assert task.max_length == 64
    with pytest.raises(InputError, match="--max_length 65: expected at most the 64 that the model reads"):
        task.read_as(max_length=65)
