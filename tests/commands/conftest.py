"""Tiny models from scratch that say something: BERT, and Llama under a LoRA adapter."""

import json
import random
from dataclasses import replace

import pytest
import torch

from llmtune.arguments import ModelArguments
from llmtune.models.loading import load_model
from llmtune.tasks.text_classification.task import TextClassification

SPAM = ["win a prize now", "free cash call", "claim your reward today", "urgent offer call now"]
HAM = ["see you at lunch", "call me when you are home", "the meeting is at noon", "thanks for the offer"]


def make_rows(n, seed=0):
    """Texts of many lengths; a label noise of a tenth keeps probabilities and errors apart."""
    rng = random.Random(seed)
    rows = []
    for _ in range(n):
        label = rng.choice(["ham", "ham", "spam"])
        text = " ".join(rng.choice(SPAM if label == "spam" else HAM) for _ in range(rng.randint(1, 6)))
        rows.append({"text": text, "label": label if rng.random() > 0.1 else rng.choice(["ham", "spam"])})
    return rows


def train_tiny(folder, model_arguments, *, tuned):
    """Some steps, until the logits depend on the text. A tuned threshold lies amid those above 0.5."""
    torch.manual_seed(0)
    task = TextClassification(("ham", "spam"), "spam", max_length=24)
    rows = make_rows(64, seed=1)
    loaded = load_model(model_arguments, task, train_texts=lambda: [row["text"] for row in rows])
    model, tokenizer = loaded.model, loaded.tokenizer
    batch = tokenizer([row["text"] for row in rows], padding=True, truncation=True, max_length=24, return_tensors="pt")
    batch.pop("token_type_ids", None)
    labels = torch.tensor([int(row["label"] == "spam") for row in rows])
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    for _ in range(30):
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        probability = model.eval()(**batch).logits.softmax(-1)[:, 1]
    threshold = float(probability[probability > 0.5].quantile(0.2)) if tuned else 0.5
    model.config.llmtune = replace(task, threshold=threshold).to_config()
    tokenizer.save_pretrained(folder)
    return model


@pytest.fixture(scope="session")
def spam_model(tmp_path_factory):
    """A tiny BERT whose stored threshold is far from 0.5."""
    folder = tmp_path_factory.mktemp("models") / "bert"
    sizes = "hidden_size=16,num_hidden_layers=1,num_attention_heads=2,intermediate_size=32"
    arguments = ModelArguments(model_type="bert", config_overrides=sizes)
    train_tiny(folder, arguments, tuned=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def lora_run(tmp_path_factory):
    """A tiny Llama under LoRA, its base beside it, as a run from scratch leaves them."""
    from llmtune.models.checkpoints import _save_base
    from llmtune.runs.folder import BASE_FOLDER

    folder = tmp_path_factory.mktemp("models") / "llama"
    arguments = ModelArguments(
        model_type="llama",
        config_overrides="hidden_size=16,num_hidden_layers=1,num_attention_heads=2,num_key_value_heads=1,head_dim=8,"
        "intermediate_size=32",
        use_peft=True,
        lora_r=4,
    )
    model = train_tiny(folder, arguments, tuned=False)
    model.peft_config["default"].base_model_name_or_path = str(folder / BASE_FOLDER)
    model.save_pretrained(folder)
    model.get_base_model().config.save_pretrained(folder)
    _save_base(model, folder / BASE_FOLDER)
    return folder


@pytest.fixture(scope="session")
def spam_file(tmp_path_factory):
    """101 labeled rows: an odd number, so that two processes get unequal shares."""
    path = tmp_path_factory.mktemp("data") / "test.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in make_rows(101)), encoding="utf-8")
    return path
