"""Windows that count each token once, and rows in which several windows stand without seeing each other."""

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmtune.errors import InputError
from llmtune.tasks.causal_lm.collator import CausalLMCollator, check_packing, without_mask
from llmtune.tasks.causal_lm.task import CausalLM
from llmtune.tasks.causal_lm.windows import TokenSequence, best_fit, make_windows, window_bounds
from llmtune.tasks.losses import TokenCrossEntropy
from tests.tasks.causal_lm.models import FAMILIES, TEXTS, model_of, tokenizer_of


@given(st.integers(2, 60), st.integers(3, 20), st.data(), st.booleans())
def test_every_token_but_the_first_counts_in_one_window_and_has_a_token_before_it(t, length, data, full_context):
    stride = data.draw(st.integers(1, length - 1))

    bounds = window_bounds(t, length, stride, full_context=full_context)

    assert [place for _, first, end in bounds for place in range(first, end)] == list(range(1, t))
    for begin, first, end in bounds:
        assert 0 <= begin < first < end <= begin + length
        assert begin == 0 or first - begin >= stride


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_packed_rows_hold_every_window_once_and_are_never_too_long(lengths):
    bins = best_fit(lengths, 30)

    assert sorted(place for places in bins for place in places) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in places) <= 30 for places in bins)
    # Of two rows that are at most half full best fit would have made one.
    assert sum(sum(lengths[place] for place in places) <= 15 for places in bins) <= 1


def test_a_window_goes_into_the_fullest_row_that_holds_it():
    # 9 | 7 3 | 6 (2): the 3 fits after the 7 exactly, and the 2 no longer after the 9.
    assert best_fit([6, 3, 9, 2, 7], 10) == [[2], [4, 1], [0, 3]]


def test_a_window_in_which_nothing_is_learned_is_left_out():
    prompt_then_answer = TokenSequence(list(range(10)), [False] * 9 + [True])

    windows = make_windows([prompt_then_answer], length=4, stride=1, full_context=False, packed=False)

    assert windows.inputs["input_ids"][:] == [[6, 7, 8, 9]]
    assert windows.inputs["labels"][:] == [[-100, -100, -100, 9]]
    assert windows.split_rows == 1


def rows_of(texts):
    return datasets.Dataset.from_dict({"text": list(texts)})


def encoded(tokenizer, *, packing, length=20, split="train"):
    return CausalLM(max_length=length, packing=packing).encode(rows_of(TEXTS), tokenizer, split)


def test_packing_keeps_every_token_and_says_how_full_the_rows_are():
    tokenizer = tokenizer_of()
    packed, alone = (encoded(tokenizer, packing=packing) for packing in (True, False))

    assert len(packed.dataset) < len(alone.dataset)
    for column in ("input_ids", "labels"):
        tokens = [sorted(t for row in part.dataset[column] for t in row) for part in (packed, alone)]
        assert tokens[0] == tokens[1]
    counts = packed.facts["windows"]
    assert counts["fill"] == sum(map(len, packed.dataset["input_ids"])) / (20 * len(packed.dataset))
    assert counts["learned_tokens"] == sum(label != -100 for row in packed.dataset["labels"] for label in row)
    assert counts["split_rows"] > 0
    assert alone.facts["windows"]["fill"] is None


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_packed_window_has_the_logits_that_it_has_alone(model_type, attention):
    tokenizer = tokenizer_of(model_type)
    # A sliding window shorter than a row: of Mistral it must stay inside the packed window too.
    sliding = {"sliding_window": 5} if model_type == "mistral" else {}
    model = model_of(model_type, tokenizer, **sliding)
    model.set_attn_implementation(attention)
    dataset = encoded(tokenizer, packing=True, length=48).dataset
    batch = CausalLMCollator(tokenizer)(list(dataset))
    with torch.no_grad():
        logits = model(**without_mask({k: v for k, v in batch.items() if k != "labels"}), use_cache=False).logits

    assert max(positions.count(0) for positions in dataset["position_ids"]) >= 3
    for row, positions in enumerate(dataset["position_ids"]):
        begins = [*np.flatnonzero(np.array(positions) == 0), len(positions)]
        for begin, end in zip(begins, begins[1:], strict=False):
            with torch.no_grad():
                alone = model(torch.tensor([dataset["input_ids"][row][begin:end]])).logits[0]
            torch.testing.assert_close(logits[row, begin:end], alone, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_the_loss_of_packed_rows_is_that_of_unpacked_rows(model_type):
    tokenizer = tokenizer_of(model_type)
    model = model_of(model_type, tokenizer)
    losses, norms = [], []
    for packing in (True, False):
        batch = CausalLMCollator(tokenizer)(list(encoded(tokenizer, packing=packing).dataset))
        labels = batch.pop("labels")
        inputs = without_mask(batch) if packing else batch
        model.zero_grad()
        loss = TokenCrossEntropy(True)(model(**inputs, use_cache=False), labels)
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.get_total_norm([weight.grad for weight in model.parameters()]).item())

    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)


def test_attention_that_does_not_stop_at_windows_is_refused():
    model = model_of()
    check_packing(model)

    forward = model.forward
    model.forward = lambda input_ids, position_ids=None, **more: forward(input_ids, **more)

    with pytest.raises(
        InputError, match="documents of a row see each other; give --attn_implementation sdpa, or --packing False"
    ):
        check_packing(model)
