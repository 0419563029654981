"""`llmtune push` against a stand-in of the Hub: what arrives, what never does, and what a failure leaves."""

import json
import os
import re
import subprocess
import sys

import pytest

from llmtune import cli
from llmtune.errors import InputError
from llmtune.hub.files import contents
from llmtune.hub.push import _tried
from llmtune.metrics import score_predictions
from llmtune.predictions import write_predictions
from llmtune.report.error_examples import error_examples
from llmtune.report.report import Report, write_reports
from llmtune.runs.folder import write_json, write_metrics
from tests.hub_stand_in import Hub
from tests.report.test_page import RUN, spam_table

TOKEN = "hf_verySecretToken123"


@pytest.fixture
def run(tmp_path):
    """A reported run whose weights are some bytes."""
    folder = tmp_path / "spam-1"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text('{"/a/b": 1}')
    write_json(folder / "config.json", {"_name_or_path": "/home/ada/bert", "llmtune": {"max_length": 8}})
    samples = [{"source": "a sentence of a row"}]
    evaluations = [{**one, "samples": samples} for one in RUN["training"]["evaluations"]]
    training = {**RUN["training"], "evaluations": evaluations}
    write_json(folder / "run.json", {**RUN, "training": training, "entities": {"errors": ["a sentence of a row"]}})
    (folder / "checkpoint-10").mkdir()
    (folder / "checkpoint-10" / "optimizer.pt").write_bytes(b"state")
    table = spam_table()
    write_predictions(table, folder / "predictions" / "test.parquet")
    scores = score_predictions(table)
    write_metrics(folder, {"test": scores})
    report = Report.of_run(folder, table, scores)
    write_reports(folder, report, no_examples=False)
    return folder


def push(hub, *flags, home):
    away = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_TOKEN": TOKEN}
    away["HF_HUB_DISABLE_XET"] = "1"
    command = [sys.executable, "-m", "llmtune.cli", "push", *map(str, flags)]
    return subprocess.run(command, env={**os.environ, **away}, capture_output=True, text=True, timeout=300)


def test_one_commit_holds_model_card_and_report_and_nobodys_secrets(run, tmp_path):
    (run / "report.html").write_text((run / "report.html").read_text().replace("Made by", f"{TOKEN} Made by"))
    with Hub({}) as hub:
        done = push(hub, run, "--repo_id", "ada/filter", home=tmp_path / "home")

    assert done.returncode == 0, done.stderr
    (files,) = hub.commits["ada/filter"]
    expected = {"model.safetensors", "tokenizer.json", "config.json", "run.json", "metrics.json"}
    assert set(files) == {*expected, "report.html", "README.md"}
    assert hub.private["ada/filter"] is True
    assert files["model.safetensors"] == b"weights"
    assert files["tokenizer.json"] == b'{"/a/b": 1}'
    everything = b"".join(files.values())
    for secret in (TOKEN.encode(), b"/home/ada", b"secret/", b"a sentence of a row", b"<script>alert"):
        assert secret not in everything
    assert TOKEN not in done.stdout + done.stderr
    card = files["README.md"].decode()
    assert 'name = "ada/filter"\n' in card
    assert "- name: filter\n" in card


@pytest.mark.parametrize("examples", [False, True])
def test_texts_of_rows_are_counted_and_stay_here_unless_they_are_asked_for(run, examples, capsys):
    page = (run / "report.html").read_text()
    text = "alert"  # of a row; see spam_table
    assert text in page

    cli.run(["push", str(run), "--repo_id", "ada/filter", "--dry_run", *(["--examples"] if examples else [])])
    sent = contents(run, "ada/filter", examples=examples)["report.html"].decode()

    printed = " ".join(capsys.readouterr().out.split())
    rows = int(re.search(r"report.html shows the texts of (\d+) rows", printed)[1])
    assert rows == sum(len(shown.rows) for shown in error_examples(spam_table(), None)) > 0
    if examples:
        assert "rows, and goes with them" in printed
        assert sent == page
    else:
        assert "rows, and goes without them; --examples publishes them too" in printed
        assert text not in sent
        assert sent.count("<section") == page.count("<section") - 1


def test_a_page_without_texts_says_so(run, capsys):
    (run / "report.html").write_text("<p>numbers</p>")

    cli.run(["push", str(run), "--repo_id", "ada/filter", "--dry_run"])

    assert "report.html shows no texts of rows" in capsys.readouterr().out


def test_a_dry_run_lists_and_sends_nothing(run, tmp_path):
    with Hub({}) as hub:
        done = push(hub, run, "--repo_id", "ada/filter", "--predictions", "--dry_run", home=tmp_path / "home")

    assert done.returncode == 0, done.stderr
    assert "Would go to ada/filter (private)" in done.stdout
    assert "predictions/test.parquet" in done.stdout
    assert hub.requests == []


def test_a_failed_commit_is_tried_again_and_leaves_nothing_before(run, tmp_path):
    with Hub({}) as hub:
        hub.fail = [503, 500]
        done = push(hub, run, "--repo_id", "ada/filter", home=tmp_path / "home")

    assert done.returncode == 0, done.stderr
    assert len(hub.commits["ada/filter"]) == 1


def uploads(hub):
    return [request for request in hub.requests if request.startswith("PUT ")]


def test_weights_go_by_lfs_and_what_has_arrived_is_not_sent_again(run, tmp_path):
    (run / "model-2.safetensors").write_bytes(b"more weights")
    with Hub({}) as hub:
        hub.fail_uploads = [503]
        hub.fail = [409]
        broken_off = push(hub, run, "--repo_id", "ada/filter", home=tmp_path / "home")
        assert hub.commits == {}  # the weights are there, and nothing is published
        assert len(uploads(hub)) == 3  # one of the two a second time
        done = push(hub, run, "--repo_id", "ada/filter", home=tmp_path / "home")
        assert len(uploads(hub)) == 3

    assert broken_off.returncode == 2
    assert "--repo_id ada/filter: the Hub answers HTTP 409" in broken_off.stderr
    assert done.returncode == 0, done.stderr
    (files,) = hub.commits["ada/filter"]
    assert files["model.safetensors"] == b"weights"
    assert files["model-2.safetensors"] == b"more weights"
    assert "%|" not in done.stderr  # no progress bar drawn into a file


def test_a_refused_upload_publishes_nothing_and_is_one_message(run, tmp_path):
    with Hub({}) as hub:
        hub.fail_uploads = [403]
        done = push(hub, run, "--repo_id", "ada/filter", home=tmp_path / "home")

    assert done.returncode == 2
    assert "set HF_TOKEN to a token that may write there" in done.stderr
    assert "Traceback" not in done.stderr
    assert hub.commits == {}


def test_a_hub_that_does_not_answer_is_one_message(run, monkeypatch):
    monkeypatch.setattr("llmtune.hub.push.PAUSES", (0.0,))
    tries = []

    def ask():
        tries.append(1)
        raise OSError("connection lost in the middle")

    with pytest.raises(InputError, match=r"does not answer \(connection lost .* without what has arrived"):
        _tried(ask, "ada/filter")
    assert len(tries) == 2


def test_a_refusal_says_what_to_do(run, tmp_path):
    with Hub({}) as hub:
        hub.fail = [403]
        done = push(hub, run, "--repo_id", "ada/filter", home=tmp_path / "home")

    assert done.returncode == 2
    assert "set HF_TOKEN to a token that may write there" in done.stderr
    assert "Traceback" not in done.stderr
    assert hub.commits == {}


def test_hand_written_sections_of_the_card_on_the_hub_are_kept(run, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    (there / "README.md").write_text((run / "README.md").read_text() + "\n## Thanks\n\nTo Ada.\n")
    with Hub({"models": {"ada/filter": there}}) as hub:
        done = push(hub, run, "--repo_id", "ada/filter", home=tmp_path / "home")

    assert done.returncode == 0, done.stderr
    card = hub.commits["ada/filter"][0]["README.md"].decode()
    assert "To Ada." in card
    assert 'name = "ada/filter"\n' in card


def test_a_report_without_weights_has_no_code_to_load_them(run):
    files = contents(run, "ada/report", report_only=True)

    assert set(files) == {"README.md", "report.html", "metrics.json", "run.json"}
    assert b"from_pretrained" not in files["README.md"]
    assert b"## Training" in files["README.md"]


def test_the_vocabularies_of_marian_and_nllb_go_with_their_models(run):
    names = {"source.spm", "target.spm", "vocab.json", "sentencepiece.bpe.model"}
    for name in names:
        (run / name).write_text("{}")

    assert names <= set(contents(run, "ada/filter"))


def test_a_folder_that_was_not_reported_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no README\.md; give a run, or make it with llmtune report"):
        contents(tmp_path, "ada/filter")
    with pytest.raises(InputError, match="--repo_id a b:"):
        cli.run(["push", str(tmp_path), "--repo_id", "a b", "--dry_run"])


def test_the_base_beside_an_adapter_is_named_without_its_folder(run):
    (run / "base_model").mkdir()
    (run / "base_model" / "model.safetensors").write_bytes(b"base")
    write_json(run / "adapter_config.json", {"base_model_name_or_path": "/home/ada/runs/x/base_model"})

    files = contents(run, "ada/filter")

    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "base_model"
    assert "base_model/model.safetensors" in files


def test_a_link_that_leads_out_of_the_run_is_not_followed(run, tmp_path):
    (tmp_path / "key").write_text("secret")
    (run / "tokenizer_key").symlink_to(tmp_path / "key")

    with pytest.raises(InputError, match="tokenizer_key: is a link to .*key, outside of the run; put the file itself"):
        cli.run(["push", str(run), "--repo_id", "user/spam", "--dry_run"])
