"""report.html: what it shows, what it leaves out, and how it behaves in a browser."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF
from sklearn.metrics import f1_score, precision_recall_curve, precision_score, recall_score, roc_auc_score

from llmtune.diagnosis.check import Check
from llmtune.diagnosis.context import Context, diagnose
from llmtune.diagnosis.headline import metric_in_words
from llmtune.diagnosis.verdict import combine
from llmtune.metrics import score_predictions
from llmtune.metrics.core.base import MetricContext, with_interval
from llmtune.metrics.core.matrix import build_matrix
from llmtune.metrics.core.registry import explain_metric, reported_metrics
from llmtune.predictions import make_predictions
from llmtune.predictions.kinds import KINDS
from llmtune.report.error_examples import sentence_scores
from llmtune.report.page import render_page, write_page
from llmtune.report.page_plots import main_plot
from llmtune.report.plots import WIDTH, Axes, Series, interval_plot, line_plot
from llmtune.report.probabilities import build_slider, calibration_bins, ranked_classes
from llmtune.report.report import Report
from llmtune.report.slices import score_slices
from llmtune.runs.redact import hub_id, public

HOSTILE = "<script>alert('x')</script> & \"quoted\" </script>"
THRESHOLD = 0.37


def spam_table(n=200, threshold=THRESHOLD):
    rng = np.random.default_rng(0)
    positive = rng.random(n) < 0.3
    p = np.clip(rng.normal(np.where(positive, 0.7, 0.25), 0.22), 0.001, 0.999)
    columns = {
        "reference": np.where(positive, "spam", "ham").tolist(),
        "prediction": np.where(p >= threshold, "spam", "ham").tolist(),
        "probabilities": np.stack([1 - p, p], axis=1).tolist(),
    }
    carried = {
        "text": [f"{HOSTILE} {i}" for i in range(n)],
        "length": rng.integers(2, 60, n).tolist(),
        "team": np.where(rng.random(n) < 0.5, "<b>blue</b>", "red").tolist(),
    }
    names = {"label_names": ["ham", "spam"], "positive_label": "spam", "threshold": threshold}
    return make_predictions("classification", columns, carried=carried, **names)


def evaluation(step, loss):
    curves = {"train": {"loss": loss / 2}, "validation": {"loss": loss}}
    return {"step": step, "eval_f1": 1 - loss, "curves": curves}


RUN = {
    "arguments": {
        "data": {"train_file": "/home/ada/secret/train.csv", "group_columns": ["team"]},
        "training": {"learning_rate": 5e-4, "output_dir": "/home/ada/runs/x"},
    },
    "data": {"test": {"rows": 200, "made": "as given", "source": "/home/ada/secret/test.csv", "sha256": "ab" * 32}},
    "training": {
        "steps": 30,
        "effective_batch": 8,
        "train_seconds": 2.0,
        "best_checkpoint": {"step": 20, "metric": "f1", "value": 0.7},
        "kept": {"step": 20, "chosen": True},
        "evaluations": [evaluation(10, 0.6), evaluation(20, 0.3), evaluation(30, 0.4)],
    },
    "versions": {"torch": "2.13.0"},
}


@pytest.fixture(scope="module")
def report():
    table = spam_table()
    scores = score_predictions(table)
    return Report("spam-1", table, scores, {"majority": scores}, diagnose(Context(table, scores=scores)), RUN)


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page"), report)


def tagged():
    rows = {
        "tokens": [["Ada", "Lovelace", "in", "Rome"], ["<i>Bo</i>", "sat"]],
        "reference": [["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "O"]],
        "prediction": [["B-PER", "I-PER", "O", "B-PER"], ["O", "O"]],
    }
    return make_predictions("token-classification", rows)


def texts():
    rows = {"source": [HOSTILE, "b"], "reference": [["a cat"], ["a dog", "the dog"]], "prediction": ["a cat", "no"]}
    return make_predictions("text-generation", rows)


def test_the_page_says_the_verdict_first_and_holds_every_headline(report, page):
    text = page.read_text(encoding="utf-8")

    assert text.index(report.verdict.sentence[:20]) < text.index("<h2")
    cells = dict(re.findall(r'data-metric="([^"]+)">([^<]*)<', text))
    assert cells == {name: with_interval(report.scores[name]) for name in report.headlines}
    assert len(text) < 1_000_000
    for heading in (
        "Calibration",
        "Loss",
        "f1 on validation",
        "By class",
        "team",
        "Most confident errors",
        "config.yaml",
    ):
        assert heading in text


def test_texts_of_the_data_are_escaped_and_can_be_left_out(report, page):
    text = page.read_text(encoding="utf-8")

    assert HOSTILE not in text
    assert "<b>blue</b>" not in text
    assert "&lt;script&gt;alert" in text
    assert "alert" not in render_page(report, no_examples=True)


def test_no_path_of_the_machine_is_published(page):
    text = page.read_text(encoding="utf-8")

    assert "test.csv" in text
    assert "/home/" not in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("given", "published"),
    [
        ("/home/ada/a.csv", "a.csv"),
        ("rows of /data/x/y.jsonl.gz, 3", "rows of y.jsonl.gz, 3"),
        (r"C:\Users\ada\a.csv", "a.csv"),
        ("~/a/b.csv", "b.csv"),
        ("google-bert/bert-base-uncased and 3/4 of it", "google-bert/bert-base-uncased and 3/4 of it"),
        ("https://huggingface.co/a/b", "https://huggingface.co/a/b"),
        ({"a": ["/x/y/z", 3]}, {"a": ["z", 3]}),
        ("in /home/ada, or /Users/ada/", "in ~, or ~"),
        ({"test_file": "/home/ada lovelace/my data/a.csv"}, {"test_file": "a.csv"}),
        ("token hf_abcdefghijkl", "token [token]"),
    ],
)
def test_paths_and_tokens_are_cut(given, published):
    assert public(given) == published


def test_a_folder_is_no_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bert").mkdir()

    assert hub_id("bert") is None
    assert hub_id("user/bert") == "user/bert"


def test_the_slider_holds_sklearns_counts_at_every_step():
    table = spam_table()
    slider = build_slider(table)
    truth, p = np.array(table.column("reference")) == "spam", table.probabilities()[:, 1]

    assert slider.thresholds[slider.chosen] == THRESHOLD
    for place in range(0, len(slider.thresholds), 37):
        called = p >= slider.thresholds[place]
        assert slider.hits[place] == (called & truth).sum()
        assert slider.alarms[place] == (called & ~truth).sum()


def test_without_finite_probabilities_there_is_no_slider_and_no_calibration():
    table = spam_table()
    rows = {name: table.column(name) for name in ("reference", "prediction")}
    bare = make_predictions("classification", rows, label_names=["ham", "spam"])
    broken = {**rows, "probabilities": [[float("nan")] * 2, *table.column("probabilities")[1:]]}
    not_finite = make_predictions("classification", broken, label_names=["ham", "spam"])

    for one in (bare, not_finite):
        assert build_slider(one) is None
        assert calibration_bins(one) == []
        assert "<h2" in render_page(Report("x", one, score_predictions(one)))


def test_slices_have_wilson_intervals_of_their_rows():
    table = spam_table()
    by_length, by_team = score_slices(table, ["team", "absent"])

    assert [one.column for one in (by_length, by_team)] == ["length", "team"]
    assert sum(n for _, n, _ in by_length.rows) == len(table)
    mask = np.array(table.column("team")) == "red"
    right = (np.array(table.column("reference")) == np.array(table.column("prediction")))[mask]
    cells = {name: cells for name, _, cells in by_team.rows}
    assert cells["red"][0].startswith(f"{right.mean():.3f} [")


def test_entities_show_missed_and_spurious_and_their_sentences():
    table = tagged()
    text = render_page(Report("ner", table, score_predictions(table)))

    assert "(missed)" in text
    assert "(spurious)" in text
    assert "Most frequent errors" in text
    assert "&lt;i&gt;Bo" in text


def test_texts_stand_beside_their_references_and_numbers_in_a_plot():
    text = render_page(Report("mt", texts(), score_predictions(texts())))
    numbers = make_predictions("regression", {"reference": [1.0, 2.0, 3.0], "prediction": [1.5, 2.0, 2.0]})
    plotted = render_page(Report("r", numbers, score_predictions(numbers)))

    assert "a dog | the dog" in text
    assert "&lt;script" in text
    assert "Actual and predicted" in plotted
    assert plotted.count('<circle class="s0"') == 2 * 3  # actual and predicted, and the residuals
    assert "Largest errors" in plotted


@pytest.mark.parametrize(("wrong", "dots"), [([np.inf, 2.0, np.nan], 1), ([np.inf, np.nan, -np.inf], 0)])
def test_rows_without_a_finite_number_are_in_no_plot(wrong, dots):
    rows = {"reference": wrong, "prediction": [1.5, 2.0, 2.0], "time": ["2026-01", "2026-02", "2026-03"]}
    table = make_predictions("regression", rows)

    plotted = render_page(Report("r", table, score_predictions(table)))

    assert plotted.count('<circle class="s0"') == dots


def test_answers_have_squads_f1_and_an_empty_one_is_said():
    rows = {"question": ["who?", "when?"], "reference": [["Ada Lovelace"], ["1843"]], "prediction": ["Ada", ""]}
    table = make_predictions("question-answering", rows)
    text = render_page(Report("qa", table, score_predictions(table)))

    assert re.findall(r'data-name="F1">([^<]*)<', text)[:2] == ["0.000", "66.667"]  # 2 · 1 · ½ / (1 + ½)
    assert '<td role="cell" data-name="prediction">(empty)</td>' in text


def test_a_forecast_is_drawn_over_its_time_with_numbers_that_are_read():
    rows = {"reference": [[3.0, 1 / 3], [1.0, 4.0], [2.0, 5.0]], "prediction": [[3.5, 4.0], [1.0, 4.0], [2.5, 5.0]]}
    table = make_predictions("regression", {**rows, "time": ["2026-03", "2026-01", "2026-02"]})
    text = render_page(Report("f", table, score_predictions(table)))

    assert "The 3 rows from 2026-01 to 2026-03; of each the first step of its horizon." in text
    over_time = text[text.index("<h3>Over time") :]
    actual, predicted = re.findall(r'<polyline class="s\d" points="([^"]*)"', over_time)[:2]
    heights = [[float(point.split(",")[1]) for point in line.split()] for line in (actual, predicted)]
    assert heights[0][0] > heights[0][1] > heights[0][2]  # 1, 2, 3 in the order of time; heights count downwards
    assert heights[0][0] == heights[1][0]
    assert "3 | 0.333333" in text


def test_the_main_plot_says_its_numbers_and_spans_the_scale(report):
    drawing = main_plot(report)
    f1 = report.scores["f1"]

    said = f"this model {f1.value:.3f} [{f1.low:.3f}, {f1.high:.3f}]; majority {f1.value:.3f}"
    assert f"F1 of spam with 95 % intervals: {said}" in drawing
    assert [float(tick) for tick in re.findall(r'text-anchor="middle">([\d.]+)<', drawing)] == [
        0,
        0.2,
        0.4,
        0.6,
        0.8,
        1,
    ]


def test_checks_that_only_inform_stand_apart_and_fail_none(report):
    quiet = [
        Check("targets", "pass", "recall is met"),
        Check("label_noise", "fail", "40 labels look wrong", {}, "look"),
    ]
    found = render_page(replace(report, verdict=combine(quiet)))

    deciding, informing = found.split("For information: these decide nothing")
    assert "targets: passed." in deciding
    assert "<li><b>label noise: worth a look.</b> 40 labels look wrong" in informing
    assert 'class="fail"' not in found


def test_curves_are_scikit_learns():
    table = spam_table()
    truth, p = np.array(table.column("reference")) == "spam", table.probabilities()[:, 1]
    (one,) = ranked_classes(table)

    assert np.trapezoid(one.roc[1], one.roc[0]) == pytest.approx(roc_auc_score(truth, p))
    precision, recall, _ = precision_recall_curve(truth, p)
    assert set(zip(*one.precision_recall, strict=True)) <= set(zip(recall, precision, strict=True))


def test_of_many_classes_the_most_frequent_stand_each_against_the_rest():
    rng = np.random.default_rng(0)
    names = [f"class {i}" for i in range(6)]
    reference = rng.choice(names, 300, p=[0.05, 0.3, 0.25, 0.2, 0.15, 0.05]).tolist()
    columns = {
        "reference": reference,
        "prediction": reference,
        "probabilities": rng.dirichlet(np.ones(6), 300).tolist(),
    }
    table = make_predictions("classification", columns, label_names=names)

    assert sorted(one.name for one in ranked_classes(table)) == names[1:5]


def test_every_text_has_a_place_in_the_histogram_of_its_score():
    name, scores = sentence_scores(texts())
    assert name == "chrF"
    assert scores.tolist() == [pytest.approx(100), CHRF().sentence_score("no", ["a dog", "the dog"]).score]
    assert "chrF by row" in render_page(Report.of_run("x", texts(), score_predictions(texts())))


def test_every_headline_is_in_words_with_what_it_is_and_its_scale(report):
    found = render_page(report)

    assert (
        '<abbr title="roc_auc: ROC-AUC: chance that a positive row gets a higher probability than a negative one (ties '
        'half); 0.5 for a coin. Scale 0 to 1, higher is better.">ROC AUC</abbr>'
    ) in found
    assert ">Recall of spam</abbr>" in found


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_no_headline_of_ours_is_without_explanation(kind):
    setting = MetricContext(str(kind), ("ham", "spam"), 1, options={"scheme": "IOB2"})
    explained = {metric.name: explain_metric(metric.name, setting) for metric in reported_metrics(setting)}

    assert all(text.endswith(" is better.") for text in explained.values())


def test_many_classes_become_a_list_of_the_largest_confusions():
    names = [f"c{i:02}" for i in range(30)]
    rows = {"reference": names * 2, "prediction": [*names, *names[1:], names[0]]}
    table = make_predictions("classification", rows, label_names=names)

    assert build_matrix(table).largest()[0] == ("c00", "c01", 1)
    assert "too many for a matrix" in render_page(Report("many", table, score_predictions(table)))


def test_a_plot_of_one_point_has_room():
    drawn = line_plot(Axes("one", "x", "y"), [Series("a", [3.0], [0.0], "both")])

    assert "nan" not in drawn
    assert drawn.count("<circle") == 1


AT = """
const range = document.getElementById("threshold");
range.value = arguments[0];
range.dispatchEvent(new Event("input"));
document.getElementById("cost_missed").value = 7;
document.getElementById("cost_missed").dispatchEvent(new Event("input"));
const found = {};
for (const id of ["hits", "missed", "alarms", "rest", "precision", "recall", "f1", "cost", "threshold_value"])
  found[id] = document.getElementById(id).textContent;
found.said = range.getAttribute("aria-valuetext");
return found;
"""


@pytest.mark.parametrize("place", [0, 60, 200, 333, 480])
def test_the_slider_moves_the_numbers_to_sklearns(browser, page, place):
    table = spam_table()
    slider = build_slider(table)
    truth, called = (
        np.array(table.column("reference")) == "spam",
        table.probabilities()[:, 1] >= slider.thresholds[place],
    )

    browser.open(page)
    found = browser.run(AT, place)

    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert found[name] == f"{score(truth, called, zero_division=0):.3f}"
    missed, alarms = int((truth & ~called).sum()), int((~truth & called).sum())
    assert (found["missed"], found["alarms"], found["cost"]) == (str(missed), str(alarms), f"{7 * missed + alarms:,}")
    assert float(found["threshold_value"]) == pytest.approx(slider.thresholds[place], rel=1e-5)
    assert found["said"].startswith(found["threshold_value"])


def test_the_cheapest_threshold_and_the_way_back(browser, page):
    browser.open(page)
    browser.run(AT, 0)
    browser.run('document.getElementById("cheapest").click()')
    cheapest = browser.run('return Number(document.getElementById("cost").textContent.replaceAll(",", ""))')
    data = json.loads(browser.run('return document.getElementById("thresholds").textContent'))
    costs = [7 * (data["positives"] - hits) + alarms for hits, alarms in zip(data["hits"], data["alarms"], strict=True)]
    browser.run('document.getElementById("reset").click()')

    assert cheapest == min(costs)
    assert browser.run('return document.getElementById("threshold_value").textContent') == str(THRESHOLD)


@pytest.mark.parametrize("ends", [(0.0, 1.0), (0.80012, 0.80834), (-1.5e6, 2.5e6)])
def test_the_name_of_an_axis_stands_clear_of_its_numbers(browser, tmp_path, ends):
    drawn = line_plot(Axes("a", "x", "f1 (validation)", y_range=ends), [Series("a", [0.0, 1.0], list(ends))])
    (tmp_path / "plot.html").write_text(f"<style>svg {{ font: 13px system-ui, sans-serif }}</style>{drawn}")
    browser.open(tmp_path / "plot.html")

    name, *numbers = browser.run("""
      const boxes = [...document.querySelectorAll("svg text")].map((one) => [one, one.getBoundingClientRect()]);
      return [boxes.find(([one]) => one.hasAttribute("transform"))[1].right,
              ...boxes.filter(([one]) => one.getAttribute("text-anchor") === "end").map(([, box]) => box.left)];""")

    assert len(numbers) > 1
    assert min(numbers) >= name


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True)])
def test_the_page_is_quiet_fits_and_asks_for_nothing(browser, page, width, dark):
    browser.requests()  # those of the page before
    browser.log("browser")

    browser.open(page, width=width, dark=dark)

    assert browser.log("browser") == []
    assert [url for url in browser.requests() if not url.startswith(("chrome", "data:"))] == [page.resolve().as_uri()]
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800), (1920, 1080)])
def test_the_first_screen_holds_the_number_its_interval_and_the_baselines(browser, page, report, width, height):
    browser.open(page, width=width, height=height)
    bottoms = browser.run("""
      return [document.querySelector(".verdict"), ...document.querySelectorAll("#main_number circle")]
        .map((one) => one.getBoundingClientRect().bottom)""")

    f1 = report.scores["f1"]
    assert browser.run("return document.querySelector('.verdict').textContent").startswith(f"F1 of spam {f1.value:.3f}")
    assert len(bottoms) == 3  # the sentence, this model, the baseline
    assert max(bottoms) < height


def test_on_paper_it_is_light_and_nothing_is_folded_away(browser, page):
    browser.open(page, dark=True)
    heights = "return [...document.querySelectorAll('details:not([open])')].map((one) => one.clientHeight)"
    folded = browser.run(heights)
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    browser.developer("Emulation.setEmulatedMedia", media="print", features=[scheme])

    on_paper = browser.run(heights)
    paper = browser.run("return getComputedStyle(document.body).backgroundColor")
    browser.developer("Emulation.setEmulatedMedia", media="")

    assert folded
    assert all(after > before for before, after in zip(folded, on_paper, strict=True))
    assert paper == "rgb(255, 255, 255)"


def test_hostile_text_runs_no_script_and_everything_is_reached_by_keyboard(browser, page):
    browser.open(page)

    assert browser.run("return document.querySelectorAll('script').length") == 2
    unlabeled = """return [...document.querySelectorAll('input, button, svg, [role=region]')].filter(
      (one) => !(one.labels?.length || one.ariaLabel || one.textContent.trim())).length"""
    assert browser.run(unlabeled) == 0
    assert browser.run("return [...document.querySelectorAll('.scroll')].every((one) => one.tabIndex === 0)")
    browser.run("document.getElementById('threshold').focus()")
    assert browser.run("return document.activeElement.id") == "threshold"


CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const light = (rgb) => rgb.slice(0, 3).map((v) => linear(v / 255))
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const paper = parse(getComputedStyle(document.body).backgroundColor);
const poor = [];
for (const one of document.querySelectorAll("body *")) {
  if (![...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
  if (one.closest("script, style, .matrix") || !one.getClientRects().length) continue;
  const style = getComputedStyle(one), svg = one.closest("svg");
  const shaded = one.closest("pre, button");
  const behind = shaded ? parse(getComputedStyle(shaded).backgroundColor) : paper;
  const [a, b] = [light(parse(svg ? style.fill : style.color)), light(behind)];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) poor.push(`${one.tagName} ${one.className} ${ratio}`);
}
return poor;
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_the_contrast_of_wcag_aa(browser, page, dark):
    browser.open(page, dark=dark)

    assert browser.run(CONTRAST) == []


def test_templates_are_in_the_package():
    import llmtune

    templates = Path(llmtune.__file__).parent / "report" / "templates"
    assert {path.name for path in templates.iterdir()} == {
        *("benchmark.html.j2", "compare.html.j2", "page.html.j2", "report.html.j2", "tables.html.j2"),
        *("report.css", "report.js"),
    }


def test_the_table_of_errors_says_how_its_sentences_are_read():
    table = tagged()
    text = render_page(Report("ner", table, score_predictions(table)))

    rows = text[text.index("Most frequent errors") :]
    assert "[ ] holds an entity of the reference, { } one of the prediction" in rows
    assert "{[Rome]}" in rows  # LOC predicted as PER
    assert "[&lt;i&gt;Bo&lt;/i&gt;]" in rows  # missed


def test_a_share_is_not_torn_from_its_percent_sign_in_the_headline(report):
    sentence = "Not ready: recall is 80 % (8 of 10)."
    verdict = replace(report.verdict, verdict="not_ready", checks=(Check("targets", "fail", sentence[11:-1]),))

    assert "recall is 80\u00a0% (8 of 10)." in render_page(replace(report, verdict=verdict))


def test_the_numbers_at_the_ends_of_the_main_axis_are_not_cut():
    drawing = interval_plot("BLEU", [("this model", 50.0, 40.0, 60.0)], (0.0, 100.0))

    places = {
        text: float(x) for x, text in re.findall(r'<text x="([\d.]+)" y="\d+" text-anchor="middle">(\S+?)<', drawing)
    }
    assert places["100"] + 4 * len("100") <= WIDTH  # eight pixels a digit, half of them beyond the middle
    assert places["0"] >= 4


def test_metrics_of_texts_are_written_as_the_field_writes_them():
    table = make_predictions("text-generation", {"reference": ["a"], "prediction": ["a"]})

    assert [metric_in_words(name, table) for name in ("chrf++", "rougeLsum")] == ["chrF++", "ROUGE-Lsum"]
