import json

import numpy as np
import pytest
import torch
import transformers

from llmtune import cli
from llmtune.errors import InputError
from llmtune.metrics import score_predictions
from llmtune.models.checkpoints import load_config
from llmtune.models.decision import label_ids
from llmtune.predictions import make_predictions
from llmtune.thresholds.temperature import choose_temperature
from tests.commands.conftest import make_rows

LABELS = ("ham", "spam")


@pytest.fixture(scope="module")
def overconfident(lora_run, tmp_path_factory):
    """The tiny LoRA Llama merged, its logits four times too large, with the temperature that validation rows give."""
    folder = tmp_path_factory.mktemp("overconfident")
    cli.run(["merge", str(lora_run), "--output_dir", str(folder / "plain")])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder / "plain")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "plain")
    with torch.no_grad():
        model.score.weight *= 4
    fit = choose_temperature(table(own_probabilities(model, tokenizer, make_rows(80, seed=4), 1.0), 4), seed=0)
    model.config.llmtune = {**load_config(str(lora_run)).llmtune, "temperature": fit.temperature, "threshold": 0.4}
    model.save_pretrained(folder / "run")
    tokenizer.save_pretrained(folder / "run")
    cli.run(["merge", str(folder / "run"), "--decision", "--output_dir", str(folder / "decision")])
    return folder / "decision", model, tokenizer, fit.temperature


def own_probabilities(model, tokenizer, rows, temperature):
    with torch.no_grad():
        logits = [model(**tokenizer(row["text"], return_tensors="pt")).logits[0] for row in rows]
    return (torch.stack(logits) / temperature).softmax(-1).numpy()


def table(probabilities, seed):
    rows = make_rows(len(probabilities), seed=seed)
    columns = {"reference": [row["label"] for row in rows], "prediction": [LABELS[i] for i in probabilities.argmax(1)]}
    columns |= {"probabilities": probabilities.astype(np.float64)}
    return make_predictions("classification", columns, label_names=LABELS, positive_label="spam")


def decided(folder, rows):
    decide = transformers.pipeline("decision", model=str(folder))
    asked = {"type": "choice", "instructions": "Which label fits the text?", "criteria": dict.fromkeys(LABELS)}
    answers = [decide({"state": row["text"], "questions": {"label": asked}})["label"] for row in rows]
    return np.array([[answer["probabilities"][label] for label in LABELS] for answer in answers])


def test_the_decision_pipeline_gives_our_probabilities_and_calibration_is_better_than_before(overconfident):
    folder, model, tokenizer, temperature = overconfident
    rows = make_rows(80, seed=6)
    there = decided(folder, rows)

    assert temperature > 1
    assert there == pytest.approx(own_probabilities(model, tokenizer, rows, temperature), abs=1e-5)
    before = score_predictions(table(own_probabilities(model, tokenizer, rows, 1.0), 6))
    after = score_predictions(table(there, 6))
    assert after["log_loss"].value < before["log_loss"].value - 0.05
    assert after["ece"].value < before["ece"].value


def test_decision_json_holds_temperature_threshold_and_labels_of_one_token(overconfident):
    folder, _, tokenizer, temperature = overconfident
    content = json.loads((folder / "decision.json").read_text())

    assert content["temperature"] == {"choice": temperature}
    assert content["llmtune"] == {"label_names": ["ham", "spam"], "positive_label": "spam", "threshold": 0.4}
    assert [len(tokenizer(label, add_special_tokens=False)["input_ids"]) for label in content["labels"]["choice"]] == [
        1,
        1,
    ]
    assert transformers.decision.DecisionConfig.from_pretrained(folder).temperature == {"choice": temperature}


def test_what_is_no_decoder_classifier_is_refused(spam_model, overconfident, tmp_path):
    with pytest.raises(InputError, match="a bert model has no head over a decoder's last token, expected a decoder"):
        cli.run(["merge", str(spam_model), "--decision", "--output_dir", str(tmp_path / "a")])
    with pytest.raises(InputError, match="a causal-lm model, expected a text classifier; leave the flag out"):
        cli.run(["merge", str(overconfident[0]), "--decision", "--output_dir", str(tmp_path / "b")])
    with pytest.raises(InputError, match="exists and is not empty; name a new folder"):
        cli.run(["merge", str(spam_model), "--decision", "--output_dir", str(overconfident[0])])
    with pytest.raises(InputError, match="classes, and the tokenizer has .* tokens to name them; leave it out"):
        label_ids(overconfident[2], 10**6)
