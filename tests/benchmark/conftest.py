"""A tiny Llama that has learned something: texts and their labels, so that prompted answers are not all alike."""

import json
import random

import pytest
import torch
import transformers

from llmtune.models.from_scratch import train_tokenizer

SPAM = ["win a prize now", "free cash call", "claim your reward today", "urgent offer call now"]
HAM = ["see you at lunch", "call me when you are home", "the meeting is at noon", "thanks for the offer"]
SENTENCE = "The river ran past the old mill while the miller counted sacks of grain."
TEMPLATE = "{text}\nLabel:"


def labeled_rows(n, seed=0):
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        label = draw.choice(["ham", "spam"])
        text = " ".join(draw.choice(SPAM if label == "spam" else HAM) for _ in range(draw.randint(1, 3)))
        rows.append({"text": text, "label": label if draw.random() > 0.15 else draw.choice(["ham", "spam"])})
    return rows


def write_rows(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def train_llama(folder, *, flipped=False, seed=0):
    """Some steps on rows as the prompt writes them; `flipped` learns the other label."""
    transformers.set_seed(seed)
    names = {"ham": "spam", "spam": "ham"} if flipped else {"ham": "ham", "spam": "spam"}
    texts = [f"{row['text']}\nLabel: {names[row['label']]}" for row in labeled_rows(160, seed=9)] + [SENTENCE] * 8
    tokenizer = train_tokenizer("llama", texts, 400, 96)
    roles = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("pad", "bos", "eos")}
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, intermediate_size=64, max_position_embeddings=96, **roles,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(80):
        rows = slice(step % 4 * 42, step % 4 * 42 + 42)
        inputs = {name: batch[name][rows] for name in ("input_ids", "attention_mask")}
        loss = model(**inputs, labels=labels[rows]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    return train_llama(tmp_path_factory.mktemp("llama") / "tiny")


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """Another model, which learned the labels the wrong way round."""
    return train_llama(tmp_path_factory.mktemp("other") / "tiny", flipped=True, seed=1)


@pytest.fixture(scope="session")
def labeled(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "test.jsonl", labeled_rows(60))


@pytest.fixture(scope="session")
def train_rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "train.jsonl", labeled_rows(80, seed=5))
