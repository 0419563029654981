"""A token is given, used and forgotten: no file of a run and no line of a terminal holds it."""

from dataclasses import asdict

from llmtune.arguments import DataArguments, ModelArguments, TrainingArguments
from llmtune.runs.folder import run_content, write_json
from llmtune.runs.redact import public

TOKEN = "hf_verySecretToken123"


def test_a_token_of_the_hub_is_in_no_file_and_on_no_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    training = TrainingArguments(output_dir=str(tmp_path / "run"), hub_token=TOKEN, report_to="none")

    content = run_content(
        {"training": asdict(training), "data": asdict(DataArguments()), "model": asdict(ModelArguments())}, {}
    )
    write_json(tmp_path / "run.json", content)
    print(training)

    assert TOKEN not in (tmp_path / "run.json").read_text()
    streams = capsys.readouterr()
    assert TOKEN not in streams.out + streams.err


def test_a_token_in_a_text_is_taken_out_before_it_is_published():
    assert public({"note": f"log in with {TOKEN}", "list": [TOKEN]}) == {
        "note": "log in with [token]",
        "list": ["[token]"],
    }
