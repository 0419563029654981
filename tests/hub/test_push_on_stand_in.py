"""The Hub paths of a recipe, against a stand-in of the Hub on the loopback interface."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
import yaml
from transformers import BertConfig, BertModel

from llmtune.models.from_scratch import train_tokenizer
from tests.hub_stand_in import Hub

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "hf_standInToken"
CARD = """---
configs:
- config_name: plain_text
  data_files:
  - split: train
    path: plain_text/train-*
  default: true
dataset_info:
  config_name: plain_text
  features:
  - name: sms
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': ham
          '1': spam
---
"""


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """A data set and a small BERT, as the Hub has them."""
    tmp_path = tmp_path_factory.mktemp("hub")
    texts = [f"win prize {i} now" if i % 4 == 0 else f"see you at {i}" for i in range(80)]
    dataset = tmp_path / "dataset"
    (dataset / "plain_text").mkdir(parents=True)
    (dataset / "README.md").write_text(CARD)
    table = pa.table({"sms": texts, "label": [int(i % 4 == 0) for i in range(80)]})
    pa.parquet.write_table(table, dataset / "plain_text" / "train-00000-of-00001.parquet")
    checkpoint = tmp_path / "checkpoint"
    tokenizer = train_tokenizer("bert", texts, vocab_size=200, max_length=32)
    tokenizer.save_pretrained(checkpoint)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(checkpoint)
    return {"datasets": {"user/sms": dataset}, "models": {"user/bert": checkpoint}}


def on_hub(hub, home, *command, **more):
    """A Python program with its own memory of the Hub, which is the stand-in."""
    away = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    away["HF_TOKEN"] = TOKEN
    arguments = [sys.executable, *map(str, command)]
    return subprocess.run(arguments, env={**os.environ, **away}, capture_output=True, text=True, timeout=300, **more)


def train_and_push(hub, folder, name, *flags):
    command = [ROOT / "recipes/spam.py", "--dataset_name=user/sms", "--text_column=sms"]
    command += ["--model_name_or_path=user/bert", "--max_steps=2", f"--output_dir={folder / 'run'}"]
    command += ["--push_to_hub", f"--hub_model_id={name}", "--report_to=tensorboard"]
    return on_hub(hub, folder / "home", *command, *flags)


def test_a_recipe_takes_data_and_checkpoint_from_the_hub(repositories, tmp_path):
    with Hub(repositories) as hub:
        done = train_and_push(hub, tmp_path, "user/made")

    assert done.returncode == 0, done.stderr
    assert any("/datasets/user/sms/resolve/" in request and ".parquet" in request for request in hub.requests)
    assert any("/user/bert/resolve/" in request and "model.safetensors" in request for request in hub.requests)
    (pushed,) = hub.commits["user/made"]
    assert {"README.md", "report.html", "metrics.json", "config.json", "model.safetensors"} <= set(pushed)
    left = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {"run.json", "optimizer.pt", "config.json"} <= {path.name for path in left}
    assert [path.name for path in left if TOKEN.encode() in path.read_bytes()] == []
    assert TOKEN not in done.stdout + done.stderr
    card = pushed["README.md"].decode()
    assert "datasets:\n- user/sms" in card
    assert "base_model: user/bert" in card
    assert 'name = "user/made"' in card
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [run["data"][split]["classes"] for split in ("train", "validation", "test")] == [
        {"ham": 48, "spam": 16},
        {"ham": 6, "spam": 2},
        {"ham": 6, "spam": 2},
    ]


def test_a_lora_run_pushes_its_adapter_and_the_code_of_its_card_loads_it_from_there(repositories, tmp_path):
    with Hub(repositories) as hub:
        done = train_and_push(hub, tmp_path, "user/adapter", "--use_peft", "--lora_r=2")
        assert done.returncode == 0, done.stderr
        (pushed,) = hub.commits["user/adapter"]
        (tmp_path / "there").mkdir()
        for name, content in pushed.items():
            (tmp_path / "there" / name).write_bytes(content)
        hub.repositories["models"] = {**repositories["models"], "user/adapter": tmp_path / "there"}
        card = pushed["README.md"].decode()
        code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
        pasted = on_hub(hub, tmp_path / "other_home", "-c", code, cwd=tmp_path)

    assert "adapter_model.safetensors" in pushed
    assert "model.safetensors" not in pushed
    assert json.loads(pushed["adapter_config.json"])["base_model_name_or_path"] == "user/bert"
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["library_name"], front["base_model"]) == ("peft", "user/bert")
    assert front["pipeline_tag"] == "text-classification"
    assert "LoRA adapter on [user/bert]" in card
    assert pasted.returncode == 0, pasted.stderr
    assert {line.split()[0] for line in pasted.stdout.strip().splitlines()} <= {"ham", "spam"}


def test_an_id_that_the_hub_lacks_is_one_message(tmp_path):
    with Hub({}) as hub:
        done = on_hub(hub, tmp_path, ROOT / "recipes/spam.py", "--dataset_name=user/none", "--model_type=bert")

    assert done.returncode == 2
    assert "user/none" in done.stderr
    assert "Traceback" not in done.stderr
