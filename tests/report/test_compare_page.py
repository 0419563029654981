"""compare.html: runs side by side, each against the first, folds with the verdict of all rows."""

import json
import re
from dataclasses import replace

import pytest

from llmtune import cli
from llmtune.comparison.differences import compare_predictions
from llmtune.diagnosis.context import Context, diagnose
from llmtune.metrics import score_predictions
from llmtune.metrics.core.base import with_interval
from llmtune.metrics.core.headlines import about_positive
from llmtune.predictions import make_predictions, write_predictions
from llmtune.report.compare_page import render_compare_page, run_reports
from llmtune.report.error_examples import ExampleTable
from llmtune.report.report import Report
from llmtune.terminal.comparison_lines import difference_cell
from tests.commands.test_report_runs import make_run
from tests.report.test_page import HOSTILE, RUN, spam_table, tagged

OTHER = {**RUN, "arguments": {"data": {}, "training": {"learning_rate": 1e-3, "hub_model_id": "/home/ada/x"}}}


def report_of(name, table, run=RUN):
    scores = score_predictions(table)
    return Report(name, table, scores, verdict=diagnose(Context(table, scores=scores)), run=run)


@pytest.fixture(scope="module")
def runs():
    at_half = spam_table(threshold=0.5)
    return run_reports([report_of("spam-1", spam_table()), report_of("spam-2", at_half, OTHER)])


@pytest.fixture(scope="module")
def text(runs):
    return render_compare_page(runs)


def rows_of(text, heading):
    """The table after a heading, as {first cell: the other cells}."""
    table = re.search(r"<table.*?</table>", text[text.index(heading) :], re.DOTALL)[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in re.findall(r"<tr>.*?</tr>", table)]
    return {row[0]: row[1:] for row in rows}


def test_every_run_has_its_verdict_and_its_numbers(runs, text):
    numbers = rows_of(text, 'id="numbers"')

    assert numbers["metric"] == ["A", "B"]
    for place, run in enumerate(runs):
        assert f"{run.letter}: {run.report.name}" in text
        assert run.report.verdict.sentence[:30] in text
        for name in run.report.headlines:
            assert numbers[about_positive(name, "spam")][place] == with_interval(run.report.scores[name])


def test_differences_are_those_of_llmtune_compare(runs, text):
    a, b = (run.report.test for run in runs)
    compared = compare_predictions(a, b)
    shown = rows_of(text, "B against A")

    assert text.index("on f1 of spam: ") < text.index("<h2")
    for one in compared.differences:
        name = one.name if one.higher_is_better else f"{one.name} ↓"
        assert shown[name][0].startswith(difference_cell(one))
    assert f"only A is right on {compared.mcnemar.only_a}, only B on {compared.mcnemar.only_b};" in text
    assert f"B is better than A on {len(compared.wins)} rows" in text


def test_arguments_are_shown_where_they_differ_without_paths(text):
    arguments = rows_of(text, 'id="arguments"')

    assert arguments["learning_rate"] == ["0.0005", "0.001"]
    assert arguments["hub_model_id"] == ["", "x"]
    assert "output_dir" not in arguments
    assert "/home" not in text


def test_texts_are_escaped_and_can_be_left_out(runs, text):
    assert HOSTILE not in text
    assert "&lt;script&gt;alert" in text
    assert "<script" not in text
    assert "alert" not in render_compare_page(runs, no_examples=True)


def test_three_runs_have_mean_and_deviation(runs):
    third = report_of("spam-3", spam_table(threshold=0.2))
    numbers = rows_of(render_compare_page(run_reports([*(run.report for run in runs), third])), 'id="numbers"')
    f1 = [float(cell.split()[0]) for cell in numbers["f1 of spam"][:3]]

    assert numbers["metric"] == ["A", "B", "C", "mean", "std"]
    assert float(numbers["f1 of spam"][3]) == pytest.approx(sum(f1) / 3, abs=1e-3)


def test_entities_are_told_in_words():
    table = tagged()
    right = replace(
        table, table=table.table.set_column(table.table.column_names.index("prediction"), "prediction",
                                            table.table.column("reference")),
    )  # fmt: skip
    text = render_compare_page(run_reports([report_of("a", table), report_of("b", right)]))

    assert "PER Ada Lovelace, LOC Rome" in text
    assert "(spurious)" in text


def test_runs_of_other_rows_are_not_compared():
    few = report_of("few", spam_table(n=100))
    text = render_compare_page(run_reports([report_of("all", spam_table()), few]))

    assert "These runs were not tested on the same rows." in text
    assert "A (all) has 200 rows, B (few) has 100; give predictions of the same rows" in text


def test_running_text_has_room_and_short_cells_have_not():
    table = ExampleTable(
        "t", ("id", "text"), [("1", "a text that goes on for a while and then for a while more"), ("2", "short")]
    )

    assert not table.is_wide(0)
    assert table.is_wide(1)


def test_the_command_leaves_the_page_with_the_others(tmp_path, capsys):
    folds = [make_run(tmp_path / f"r{i}", 0.9, fold=f"{i}/2", seed=i) for i in (1, 2)]

    cli.run(["report", *folds])
    assert "--output_dir FOLDER leaves metrics.json, verdict.json and compare.html" in capsys.readouterr().out
    cli.run(["report", *folds, "--output_dir", str(tmp_path / "all")])

    text = (tmp_path / "all" / "compare.html").read_text(encoding="utf-8")
    assert "r1, fold 1/2" in text
    assert "B tested fold 2/2, A fold 1/2: other rows, no paired test" in text
    verdict = json.loads((tmp_path / "all" / "verdict.json").read_text(encoding="utf-8"))["verdict"]
    assert f'class="verdict {verdict}"' in text


def test_one_run_of_private_data_keeps_all_texts_out(tmp_path):
    names = ("ham", "spam")
    for name, private in (("a", False), ("b", True)):
        said = ["spam", "ham"] * 30 if private else ["spam"] * 60
        columns = {"reference": ["spam"] * 60, "prediction": said}
        made = make_predictions("classification", columns, carried={"text": ["secret"] * 60}, label_names=names)
        write_predictions(made, tmp_path / name / "predictions" / "test.parquet")
        run = {"arguments": {"data": {"no_examples": private}}}
        (tmp_path / name / "run.json").write_text(json.dumps(run))

    runs = [str(tmp_path / name) for name in ("a", "b")]
    cli.run(["report", *runs, "--output_dir", str(tmp_path / "c")])

    assert "secret" not in (tmp_path / "c" / "compare.html").read_text(encoding="utf-8")
