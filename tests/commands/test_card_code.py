"""The code block of a card, run as pasted in the folder of its weights."""

import contextlib
import io
import json
import re

import pytest

from llmtune import cli
from llmtune.metrics import score_predictions
from llmtune.predictions import read_predictions
from llmtune.report.card import render_card
from llmtune.report.content import Report


def made_by(model, rows_file, folder):
    """An evaluation of the model, its predictions beside its weights, as a run has them."""
    cli.run(["evaluate", f"--model={model}", f"--test_file={rows_file}", f"--output_dir={folder}"])
    return read_predictions(folder / "predictions" / "test.parquet")


@pytest.mark.parametrize("which", ["spam_model", "lora_run"])
def test_the_code_block_answers_as_the_predictions_do(which, request, spam_file, tmp_path, monkeypatch):
    model = request.getfixturevalue(which)
    table = made_by(model, spam_file, tmp_path / "evaluated")
    (model / "run.json").write_text(json.dumps({"arguments": {"model": {"model_type": "bert"}}}))
    report = Report.of_run(model, table, score_predictions(table))
    settings = json.loads((model / "config.json").read_text())["llmtune"]
    code = re.search(r"```python\n(.*?)```", render_card(report, settings), re.DOTALL)[1]
    texts = [json.loads(line)["text"] for line in spam_file.read_text().splitlines()][:20]
    code = code.replace('["Write here what the model shall judge.", "And a second text."]', repr(texts))
    monkeypatch.chdir(model)

    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "README.md", "exec"), {})

    lines = out.getvalue().strip().splitlines()
    assert [line.split()[0] for line in lines] == table.column("prediction")[:20]
    sure = [max(row) for row in table.column("probabilities")[:20]]
    assert [float(line.split()[1]) for line in lines] == pytest.approx(sure, abs=1e-5)
