"""The Hub paths of a recipe, against a stand-in of the Hub on the loopback interface."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import torch
from transformers import BertConfig, BertModel

from llmtune.models.from_scratch import train_tokenizer
from tests.hub_stand_in import Hub

ROOT = Path(__file__).resolve().parent.parent
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


def test_a_recipe_takes_data_and_checkpoint_from_the_hub(tmp_path):
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

    with Hub({"datasets": {"user/sms": dataset}, "models": {"user/bert": checkpoint}}) as hub:
        command = [sys.executable, str(ROOT / "recipes/spam.py"), "--dataset_name=user/sms", "--text_column=sms"]
        command += ["--model_name_or_path=user/bert", "--max_steps=2", f"--output_dir={tmp_path / 'run'}"]
        command += ["--push_to_hub", "--hub_model_id=user/made"]
        away = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_standInToken",
        }
        done = subprocess.run(command, env={**os.environ, **away}, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr
    assert any("/datasets/user/sms/resolve/" in request and ".parquet" in request for request in hub.requests)
    assert any("/user/bert/resolve/" in request and "model.safetensors" in request for request in hub.requests)
    (pushed,) = hub.commits["user/made"]
    assert {"README.md", "report.html", "metrics.json", "config.json", "model.safetensors"} <= set(pushed)
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


def test_an_id_that_the_hub_lacks_is_one_message(tmp_path):
    with Hub({}) as hub:
        command = [sys.executable, str(ROOT / "recipes/spam.py"), "--dataset_name=user/none", "--model_type=bert"]
        away = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(command, env={**os.environ, **away}, capture_output=True, text=True, timeout=300)

    assert done.returncode == 2
    assert "user/none" in done.stderr
    assert "Traceback" not in done.stderr
