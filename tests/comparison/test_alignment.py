"""Which rows are the same: `llmtune report --base`, `llmtune compare` and the Python API give one answer."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from llmtune import Report, cli, compare
from llmtune.errors import InputError
from llmtune.predictions import make_predictions, write_predictions

N = 80
RNG = np.random.default_rng(0)
REFERENCE = ["spam" if i % 2 else "ham" for i in range(N)]
P = np.clip(np.where(np.arange(N) % 2, 0.7, 0.3) + RNG.normal(0, 0.3, N), 0.01, 0.99)


def table(labels=("ham", "spam"), *, shift=0.0, texts=None, **more):
    """Predictions of the same rows; the columns of `probabilities` in the order of the labels."""
    spam = np.clip(P + shift, 0.01, 0.99)
    by_label = {"ham": 1 - spam, "spam": spam}
    columns = {
        "reference": REFERENCE,
        "prediction": ["spam" if p >= 0.5 else "ham" for p in spam],
        "probabilities": np.stack([by_label.get(label, np.zeros(N)) for label in labels], axis=1).tolist(),
    }
    carried = {"text": texts or [f"text {i}" for i in range(N)]}
    return make_predictions(
        "classification", columns, carried=carried, label_names=list(labels), positive_label="spam", **more
    )


def answers(a, b, folder):
    """What each way says of two tables: the difference by the deciding metric, or the message that it stops with."""
    write_predictions(a, folder / "a.parquet")
    write_predictions(b, folder / "b.parquet")
    files = [str(folder / "a.parquet"), str(folder / "b.parquet")]

    def by_compare():
        cli.run(["compare", *files, "--output_dir", str(folder / "compared")])
        return -json.loads((folder / "compared" / "comparison.json").read_text())["differences"][0]["difference"]

    def by_base():
        cli.run(["report", files[0], "--base", files[1], "--output_dir", str(folder / "judged")])
        checks = json.loads((folder / "judged" / "verdict.json").read_text())["checks"]
        return next(check for check in checks if check["check"] == "worse_than_base")["numbers"]["difference"]

    def by_function():
        result = compare(Report.from_table(files[0]), Report.from_table(files[1]))
        return -result.result.main.difference

    found = {}
    for way in (by_compare, by_base, by_function):
        try:
            found[way.__name__] = round(way(), 6)
        except InputError as error:
            found[way.__name__] = str(error)
    return found


SAME = [
    ("labels in another order", table(("spam", "ham"), shift=0.3)),
    ("another threshold", table(shift=0.3, threshold=0.4)),
    ("no text", replace(table(shift=0.3), table=table(shift=0.3).table.drop_columns(["text"]))),
]
OTHER = [
    ("another text", table(texts=["another", *(f"text {i}" for i in range(1, N))]), "row 0: text is"),
    ("another split", table(split="validation"), "of split"),
    ("another label", table(("ham", "spam", "eggs")), "has the labels"),
]


@pytest.mark.parametrize(("what", "b"), SAME, ids=[what for what, _ in SAME])
def test_what_one_way_takes_for_the_same_rows_all_ways_do(what, b, tmp_path):
    found = answers(table(), b, tmp_path)

    assert len(set(found.values())) == 1, found
    assert isinstance(found["by_base"], float)
    assert found["by_base"] > 0


@pytest.mark.parametrize(("what", "b", "message"), OTHER, ids=[what for what, _, _ in OTHER])
def test_what_one_way_refuses_all_ways_refuse(what, b, message, tmp_path):
    found = answers(table(), b, tmp_path)

    assert all(isinstance(answer, str) and message in answer for answer in found.values()), found


def test_a_foreign_table_without_ids_is_compared_with_rows_held_out_of_a_source(tmp_path):
    ours = table()
    held_out = replace(ours, table=ours.table.set_column(0, "id", [list(range(3, 3 + 2 * N, 2))]))

    assert isinstance(answers(held_out, table(shift=0.1), tmp_path)["by_compare"], float)


def test_other_rows_of_a_source_are_refused_by_their_ids(tmp_path):
    ours = table()
    first, second = (
        replace(ours, table=ours.table.set_column(0, "id", [list(range(start, start + N))])) for start in (7, 9)
    )

    for message in answers(first, second, tmp_path).values():
        assert re.fullmatch(r"row 0: id is 7 in .* but 9 in .*; give predictions of the same rows, .*", message)
