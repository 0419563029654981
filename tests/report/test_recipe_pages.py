"""Pages in a browser: of a real run of each recipe, of two runs side by side, and of tables made anywhere."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from llmtune import cli
from llmtune.metrics import score_predictions
from llmtune.metrics.core.base import with_interval
from llmtune.predictions import read_predictions
from llmtune.report.probabilities import build_slider
from tests.report.test_page import AT

RECIPES = ("spam", "sentiment", "text_classification", "ner", "pii", "question_answering", "translation")
RECIPES += ("summarization", "causal_lm")
KINDS = ("text-generation", "question-answering", "regression")
LOOKS = [(390, False), (1280, True), (1920, False)]  # what scrolls out of a phone's page has no color to axe


@pytest.fixture(scope="module")
def compared(demo_run, tmp_path_factory):
    """compare.html of the spam demo's run and of the same run a second time, with other answers."""
    first, second = demo_run("spam"), tmp_path_factory.mktemp("compared") / "spam-2"
    (second / "predictions").mkdir(parents=True)
    (second / "run.json").write_bytes((first / "run.json").read_bytes())
    baseline = first / "predictions" / "baselines" / "tf_idf_logistic_regression.parquet"
    (second / "predictions" / "test.parquet").write_bytes(baseline.read_bytes())
    folder = second.parent / "both"
    cli.run(["report", str(first), str(second), "--output_dir", str(folder)])
    return folder / "compare.html"


def table_of(kind, n=30):
    """Rows of a table of a kind that has no recipe yet."""
    long = "Ein Satz, der auf einem Telefon über viele Zeilen geht. " * 4
    rows = {
        "text-generation": lambda i: {
            "source": f"{long}{i}",
            "reference": f"a house {i}",
            "prediction": f"a horse {i}",
        },
        "question-answering": lambda i: {
            "question": long,
            "reference": ["1843", "in 1843"],
            "prediction": "184" * (i % 2),
        },
        "regression": lambda i: {"time": f"2026-01-{1 + i:02}", "reference": float(i % 7), "prediction": i % 7 + 0.5},
    }
    return "\n".join(json.dumps(rows[kind](i)) for i in range(n))


@pytest.fixture(params=[*RECIPES, "compare", *KINDS], scope="module")
def page(request, demo_run, tmp_path_factory):
    if request.param == "compare":
        return request.getfixturevalue("compared")
    if request.param in RECIPES:
        return demo_run(request.param) / "report.html"
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "table.jsonl").write_text(table_of(request.param))
    cli.run(["report", str(folder / "table.jsonl"), "--kind", request.param, "--output_dir", str(folder)])
    return folder / "report.html"


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_axe_has_nothing_against_the_page_which_is_quiet_and_asks_for_nothing(browser, page, width, dark):
    browser.requests()  # those of the page before
    browser.log("browser")

    browser.open(page, width=width, dark=dark)

    assert browser.log("browser") == []
    assert [url for url in browser.requests() if not url.startswith(("chrome", "data:"))] == [page.resolve().as_uri()]
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.violations() == []
    assert page.stat().st_size < 1_000_000


def test_axe_does_look(browser, demo_run):
    browser.open(demo_run("spam") / "report.html")
    browser.run("document.documentElement.removeAttribute('lang')")
    browser.run("document.querySelector('.verdict').style.color = '#ccc'")

    assert {line.partition(":")[0] for line in browser.violations()} == {"html-has-lang", "color-contrast"}


@pytest.mark.parametrize("recipe", ["spam", "sentiment"])
def test_the_slider_moves_the_numbers_to_sklearns(browser, demo_run, recipe):
    table = read_predictions(demo_run(recipe) / "predictions" / "test.parquet")
    slider = build_slider(table)
    truth = np.array(table.column("reference")) == table.label_names[table.positive_id]
    browser.open(demo_run(recipe) / "report.html")

    for place in (0, len(slider.thresholds) // 3, slider.chosen, len(slider.thresholds) - 1):
        called = table.probabilities()[:, table.positive_id] >= slider.thresholds[place]
        found = browser.run(AT, place)
        for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
            assert found[name] == f"{score(truth, called, zero_division=0):.3f}"
        assert found["missed"].replace(",", "") == str(int((truth & ~called).sum()))


@pytest.mark.parametrize("recipe", RECIPES)
def test_page_card_and_json_hold_the_same_numbers(browser, demo_run, recipe):
    folder = demo_run(recipe)
    scores = score_predictions(read_predictions(folder / "predictions" / "test.parquet"), seed=42)
    written = json.loads((folder / "metrics.json").read_text())["test"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    browser.open(folder / "report.html")
    cells = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('[data-metric]')]"
        ".map((cell) => [cell.dataset.metric, cell.textContent]))"
    )

    assert cells
    for name, cell in cells.items():
        assert cell == with_interval(scores[name])
        assert written[name] == scores[name].to_json()
        assert f"| {cell} |" in card
