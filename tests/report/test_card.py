"""The model card: read by the Hub's own library, true to the report's numbers, and its code runs as pasted."""

import json
import math
import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from llmtune.metrics import score_predictions
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.headlines import about_positive
from llmtune.predictions import make_predictions
from llmtune.report.card import render_card, write_card
from llmtune.report.page import render_page
from llmtune.report.report import Report
from llmtune.terminal.console import Terminal
from llmtune.terminal.score_tables import show_scores
from tests.report.test_page import RUN, spam_table, tagged

SETTINGS = {"max_length": 24}


def spam_report(**changes):
    table = spam_table()
    scores = score_predictions(table)
    return Report("spam-1", table, scores, {"majority": scores}, run={**RUN, **changes})


def front_of(card):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1])


def on_hub(**more):
    data = {"dataset_name": "user/sms", "dataset_revision": "5503434d", **more}
    return spam_report(arguments={"data": data, "model": {"model_name_or_path": "google-bert/bert-base-uncased"}})


def test_the_hubs_library_reads_back_every_headline(tmp_path):
    report = on_hub()
    path = tmp_path / "README.md"
    path.write_text(render_card(report, SETTINGS), encoding="utf-8")

    card = ModelCard.load(path)
    name, results = model_index_to_eval_results(front_of(path.read_text())["model-index"])

    assert name == "spam-1"
    read = {one.metric_type: one for one in card.data.eval_results}
    assert {one.metric_type: one.metric_value for one in results} == {
        name: report.scores[name].value for name in report.headlines
    }
    assert {type(one.metric_value) for one in results} == {float}
    f1, score = read["f1"], report.scores["f1"]
    assert f1.dataset_revision == "5503434d"
    assert (f1.dataset_type, f1.dataset_split) == ("user/sms", "test")
    expected = {"split": "test", "n": 200, "signature": score.signature, "ci95": [score.low, score.high]}
    assert f1.metric_args == expected
    assert card.data.base_model == "google-bert/bert-base-uncased"
    assert card.data.datasets == ["user/sms"]
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.library_name == "transformers"
    assert "license" not in front_of(path.read_text())


def test_the_front_matter_is_plain_yaml_without_an_undefined_number():
    report = spam_report()
    scores = {**report.scores}
    scores["f1"] = replace(scores["f1"], value=None, low=None, high=None, reason="no rows")
    front = front_of(render_card(replace(report, scores=scores), SETTINGS))

    metrics = front["model-index"][0]["results"][0]["metrics"]
    assert "f1" not in [one["type"] for one in metrics]
    assert all(math.isfinite(one["value"]) for one in metrics)
    assert "base_model" not in front  # none is known on the Hub


def test_nobodys_folders_are_named():
    card = render_card(spam_report(), SETTINGS)

    assert "test.csv" in card
    assert "/home" not in card
    assert "ada" not in card.replace("adapter", "")


def test_label_names_cannot_break_the_tables():
    table = spam_table()
    names = {"ham": "a|b", "spam": "<script>x</script>"}
    rows = {name: [names[label] for label in table.column(name)] for name in ("reference", "prediction")}
    hostile = make_predictions(
        "classification", {**rows, "probabilities": table.column("probabilities")}, label_names=list(names.values())
    )
    card = render_card(Report("x", hostile, score_predictions(hostile)), SETTINGS)

    body = card.split("\n---\n", 1)[1]
    assert "<script>" not in body.replace("`<script>x</script>`", "")
    assert "a\\|b" in body


def test_an_adapter_on_a_folder_says_that_its_base_is_not_at_hand():
    for base, said in (("/home/ada/bert", True), ("google-bert/bert-base-uncased", False)):
        report = replace(spam_report(arguments={"model": {"model_name_or_path": base}}), adapter=True)
        card = render_card(report, SETTINGS)

        assert ("llmtune merge makes weights that need none" in card) == said
        named = "PeftConfig.from_pretrained(name).base_model_name_or_path" if said else repr(base)
        assert f"from_pretrained({named}, config=config" in card
        assert "/home/ada" not in card


def test_what_a_person_wrote_around_the_card_stays(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"llmtune": SETTINGS}))
    path = write_card(tmp_path, spam_report())
    written = path.read_text().replace("library_name:", "license: mit\nlibrary_name:") + "\n## Thanks\n\nTo Ada.\n"
    path.write_text(written.replace("# spam-1\n", "# Our filter\n"))

    card = write_card(tmp_path, on_hub()).read_text()

    assert "# Our filter" in card
    assert "To Ada." in card
    assert front_of(card)["license"] == "mit"
    assert front_of(card)["datasets"] == ["user/sms"]
    assert card.count("## How to use") == 1


def test_page_card_json_and_terminal_say_the_same(capsys):
    for table in (spam_table(), tagged()):
        scores = score_predictions(table)
        report = Report("x", table, scores)

        page = dict(re.findall(r'data-metric="([^"]+)">([^<]*)<', render_page(report)))
        card = render_card(report, SETTINGS)
        show_scores(Terminal(), table, scores)
        printed = capsys.readouterr().out
        results = front_of(card)["model-index"][0]["results"][0]["metrics"]

        for name in report.headlines:
            assert page[name] == with_interval(scores[name])
            said = about_positive(name, table.positive_name)
            assert re.search(rf"^\| {re.escape(said).replace('_', '.{1,2}')} \| {re.escape(page[name])} \|", card, re.M)
            assert re.search(rf"^ *{re.escape(said)} +{re.escape(page[name])}", printed, re.M)
        assert {one["type"]: one["value"] for one in results} == {
            name: json.loads(json.dumps(scores[name].to_json()))["value"] for name in report.headlines
        }


def outside_of_code(card):
    """The text below the front matter without its code, where markup is text: fenced blocks, then spans."""
    body = card.split("\n---\n", 1)[1]
    return re.sub(r"(?<!\\)`[^`\n]*`", "", re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", body))


@pytest.fixture(scope="module")
def hostile():
    """A report whose every name and text of a file is markup."""
    evil = "`<script>alert(1)</script>`\n\n---\nlicense: mit\n---\n```\n<img src=x onerror=alert(1)>\n# x"
    table = spam_table()
    rows = {
        name: [{"ham": "ham", "spam": evil}[label] for label in table.column(name)]
        for name in ("reference", "prediction")
    }
    named = {"label_names": ["ham", evil], "positive_label": evil, "threshold": table.threshold}
    hostile = make_predictions("classification", {**rows, "probabilities": table.column("probabilities")}, **named)
    run = {
        "data": {"test": {"rows": 200, "made": evil, "source": evil, "sha256": evil}},
        "model": {"name": evil, "model_type": evil, "module": "os\nos.system('rm -r ~')"},
        "arguments": {"model": {"model_name_or_path": evil}, "training": {"learning_rate": evil, "optim": evil}},
        "training": RUN["training"],
        "threshold": {"reason": evil},
        "search": evil,
        "versions": {"torch": evil},
        "reproduction": {"recipe": "spam", "processes": 1, "flags": {"text_column": evil, "seed": 3}},
    }

    scores = score_predictions(hostile)
    return Report(evil, hostile, scores, {evil: scores}, run=run)


def test_nothing_of_a_strangers_run_becomes_markup_code_or_front_matter(hostile):
    card = render_card(hostile, SETTINGS)

    text = outside_of_code(card)
    assert "<script" not in text
    assert "<img" not in text
    assert "license" not in front_of(card)
    assert front_of(card)["model-index"][0]["name"] == hostile.name
    assert "os.system" not in card
    assert not re.search(r"(?m)^# x", text)


def test_nor_does_it_become_markup_of_the_page(hostile):
    page = render_page(hostile)

    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;img src=x" in page
