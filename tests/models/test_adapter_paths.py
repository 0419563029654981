"""Where a LoRA run finds its base again."""

import os
import subprocess
import sys

import torch
from transformers import AutoModelForSequenceClassification

from llmtune.arguments import ModelArguments
from llmtune.models.checkpoints import load_run
from llmtune.models.loading import load_model
from llmtune.tasks.text_classification.arguments import TextClassificationArguments
from llmtune.tasks.text_classification.task import TextClassification
from tests.hub_stand_in import Hub


def a_base(folder):
    task = TextClassification.from_options(TextClassificationArguments(max_length=32), ["ham", "spam"])
    overrides = "hidden_size=16,num_hidden_layers=1,num_attention_heads=2,intermediate_size=32"
    arguments = ModelArguments(model_type="bert", config_overrides=overrides, tokenizer_vocab_size=100)
    loaded = load_model(arguments, task, train_texts=lambda: ["win a prize", "see you at noon"])
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return task


def an_adapter(task, base, folder):
    loaded = load_model(ModelArguments(model_name_or_path=base, use_peft=True, lora_r=2), task, train_texts=lambda: [])
    loaded.model.save_pretrained(folder)
    loaded.model.get_base_model().config.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return loaded.model.eval()


def test_a_base_named_by_a_relative_path_is_found_from_another_folder(tmp_path, monkeypatch):
    task = a_base(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    model = an_adapter(task, "base", tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()

    monkeypatch.chdir(tmp_path / "elsewhere")
    _, again = load_run(tmp_path / "run", AutoModelForSequenceClassification)

    ids = torch.arange(6, 14)[None]
    torch.testing.assert_close(again(input_ids=ids).logits, model(input_ids=ids).logits)


def test_an_adapter_on_the_hub_is_loaded_with_its_base(tmp_path):
    # In a process of its own: huggingface_hub reads HF_ENDPOINT once.
    task = a_base(tmp_path / "base")
    model = an_adapter(task, str(tmp_path / "base"), tmp_path / "run")
    ids = torch.arange(6, 14)[None]
    torch.save(model(input_ids=ids).logits.detach(), tmp_path / "logits.pt")
    code = (
        "import sys, torch; from transformers import AutoModelForSequenceClassification as Auto\n"
        "from llmtune.models.checkpoints import load_run\n"
        "_, model = load_run('user/adapter', Auto)\n"
        "logits = model(input_ids=torch.arange(6, 14)[None]).logits\n"
        "torch.testing.assert_close(logits, torch.load(sys.argv[1]))\n"
    )

    with Hub({"models": {"user/adapter": tmp_path / "run"}}) as hub:
        away = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        away["HF_HUB_DISABLE_XET"] = "1"
        command = [sys.executable, "-c", code, str(tmp_path / "logits.pt")]
        done = subprocess.run(command, env={**os.environ, **away}, capture_output=True, text=True, timeout=200)

    assert done.returncode == 0, done.stderr
