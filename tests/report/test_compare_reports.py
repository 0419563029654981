"""`compare(report_a, report_b)`: the numbers, the gate and the page of `llmtune compare`."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from llmtune import Report, cli, compare
from llmtune.errors import InputError
from tests.report.test_report import KINDS, LABELS, REFERENCES, TABLE

WORSE = np.where(np.arange(len(REFERENCES)) % 3, REFERENCES, "ham")  # a third of the spam is missed


@pytest.fixture(scope="module")
def reports():
    rows = {"right": REFERENCES, "worse": WORSE}
    return {
        name: Report.from_table(
            {"reference": REFERENCES, "prediction": predicted, "text": TABLE["text"]},
            kind="classification",
            labels=LABELS,
            name=name,
        )
        for name, predicted in rows.items()
    }


def test_the_difference_and_its_test_are_those_of_the_references(reports):
    found = compare(reports["right"], reports["worse"])

    main, test = found.result.main, found.result.mcnemar
    missed = int((REFERENCES != WORSE).sum())
    assert main.metric == "f1"
    assert main.difference == pytest.approx(f1_score(REFERENCES, WORSE, pos_label="spam") - 1)
    assert (test.only_a, test.only_b) == (missed, 0)
    assert test.p == pytest.approx(binomtest(missed, missed).pvalue)
    assert found.significantly_worse
    assert not compare(reports["worse"], reports["right"]).significantly_worse


def test_it_writes_what_the_command_writes(reports, tmp_path):
    files = []
    for name, report in reports.items():
        rows = {"reference": REFERENCES, "prediction": report.test.column("prediction"), "text": TABLE["text"]}
        files.append(str(tmp_path / f"{name}.csv"))
        pd.DataFrame(rows).to_csv(files[-1], index=False)
    more = ["--kind", "classification", "--labels", ",".join(LABELS), "--output_dir", str(tmp_path / "cli")]
    cli.run(["compare", *files, *more])

    paths = compare(reports["right"], reports["worse"]).save(tmp_path / "api", no_examples=True)

    assert [path.name for path in paths] == ["comparison.json", "compare.html"]
    written, expected = (json.loads((tmp_path / place / "comparison.json").read_text()) for place in ("api", "cli"))
    assert written.pop("a") == "right"
    assert written.pop("b") == "worse"
    assert written == {name: value for name, value in expected.items() if name not in "ab"}
    assert "message 1" not in paths[1].read_text()


def test_printed_and_shown_it_says_which_is_better(reports):
    found = compare(reports["right"], reports["worse"], metric="accuracy")

    lines = repr(found).splitlines()
    assert lines[0] == "B 'worse' against A 'right', 120 rows of test"
    assert lines[1] == found.finding + "."
    assert found.finding.startswith("B is significantly worse than A on accuracy: -0.")
    assert any(line.startswith("  f1_macro           B - A  -0.") for line in lines)
    assert found.finding.replace("&", "&amp;") in found._repr_html_()
    assert 'title="right and worse"' in found._repr_html_()
    assert "2 reports side by side: text classification" in found._repr_html_()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_compared(kind):
    a, b = (Report.from_table(KINDS[kind], kind=kind, name=name) for name in "ab")

    found = compare(a, b)

    assert found.result.main.difference == 0
    assert not found.significantly_worse
    assert "<iframe" in found._repr_html_()


def test_other_rows_are_refused_in_the_words_of_the_function(reports):
    other = Report.from_predictions(["x", "y"] * 60, ["x", "y"] * 60, name="other")

    with pytest.raises(InputError, match=r"A \(right\) has the labels ham, spam, B \(other\) has x, y.*told them by l"):
        compare(reports["right"], other)
    with pytest.raises(ValueError, match="bleu is a metric of text-generation, and this is classification"):
        compare(reports["right"], reports["worse"], metric="bleu")
