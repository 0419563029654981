"""A file → time steps: numbers, times, gaps, and the splits cut in time."""

import numpy as np
import pytest

from llmtune.arguments import DataArguments
from llmtune.data.files import read_rows
from llmtune.errors import InputError
from llmtune.tasks.forecasting.rows import SeriesColumns, read_steps
from llmtune.tasks.forecasting.splits import load_series, load_steps
from llmtune.tasks.forecasting.steps import Steps

COLUMNS = SeriesColumns("time", "y", ("x", "y"))
KEYED = SeriesColumns("time", "y", ("y",), "key")


def written(folder, *lines, head="time,x,y", name="rows.csv"):
    (folder / name).write_text("\n".join([head, *lines]))
    return str(folder / name)


def steps_of(path, columns=COLUMNS, **options):
    return read_steps(read_rows(path), columns, data=DataArguments(), **options)


def test_steps_stand_in_the_order_of_time_and_keep_the_number_of_their_row(tmp_path):
    steps, gaps = steps_of(written(tmp_path, "2020-01-03,3,30", "2020-01-01,1,10", "2020-01-02,2,20"))

    assert steps.ids.tolist() == [1, 2, 0]
    assert steps.times == ["2020-01-01", "2020-01-02", "2020-01-03"]
    assert steps.target.tolist() == [10, 20, 30]
    assert steps.inputs.tolist() == [[1, 10], [2, 20], [3, 30]]
    assert gaps.lines() == ["empty cells: none; steps missing from one every 1 day: none"]


@pytest.mark.parametrize(
    ("cells", "expected", "step"),
    [
        (["1", "2", "3"], [1, 2, 3], "1"),
        (["0.5", "1", "1.5"], [0.5, 1.0, 1.5], "0.5"),
        (["2020-01", "2020-02", "2020-03"], ["2020-01-01", "2020-02-01", "2020-03-01"], "29 days"),
        (
            ["2020-01-01 22:00", "2020-01-01 23:00", "2020-01-02"],
            ["2020-01-01T22:00:00", "2020-01-01T23:00:00", "2020-01-02T00:00:00"],
            "1:00:00",
        ),
        # of a zone in UTC: in New York this is one day
        (
            ["2020-01-01T23:00-05:00", "2020-01-02T23:00-05:00"],
            ["2020-01-02T04:00:00", "2020-01-03T04:00:00"],
            "1 day",
        ),
    ],
)
def test_times_are_dates_or_numbers_in_one_form_that_sorts(tmp_path, cells, expected, step):
    steps, gaps = steps_of(written(tmp_path, *(f"{cell},1,1" for cell in cells)))

    assert steps.times == expected
    assert gaps.step == step


def test_gaps_are_counted_and_nothing_is_filled_unless_asked(tmp_path):
    path = written(tmp_path, "1,1,10", "2,,20", "3,3,", "6,6,60")

    steps, gaps = steps_of(path)

    assert (gaps.values, gaps.steps) == ({"x": 1, "y": 1}, 2)
    assert "empty cells: x 1, y 1; steps missing from one every 1: 2; windows with an empty cell" in gaps.lines()[0]
    assert np.isnan(steps.inputs[1, 0])
    assert np.isnan(steps.target[2])
    assert steps.observed.tolist() == [True, True, False, True]


def test_values_are_filled_with_the_last_one_known_and_stay_unobserved(tmp_path):
    steps, _ = steps_of(written(tmp_path, "1,,10", "2,,20", "3,3,", "6,6,60"), fill="values")

    assert np.isnan(steps.inputs[:2, 0]).all()  # nothing is known before
    assert steps.target.tolist() == [10, 20, 20, 60]
    assert steps.inputs[:, 1].tolist() == [10, 20, 20, 60]
    assert steps.observed.tolist() == [True, True, False, True]


def test_missing_steps_are_inserted_where_asked_each_in_its_series(tmp_path):
    lines = ["1,a,1", "2,a,2", "5,a,5", "1,b,10", "2,b,20", "3,b,30"]
    steps, gaps = steps_of(written(tmp_path, *lines, head="time,key,y"), KEYED, fill="steps")

    assert gaps.steps == 2
    assert steps.times == [1, 2, 3, 4, 5, 1, 2, 3]
    assert steps.target.tolist() == [1, 2, 2, 2, 5, 10, 20, 30]
    assert steps.ids.tolist() == [0, 1, -1, -1, 2, 3, 4, 5]
    assert steps.observed.tolist() == [True, True, False, False, True, True, True, True]
    assert list(steps.spans()) == [("a", 0, 5), ("b", 5, 8)]


def test_steps_survive_being_rows_of_a_data_set(tmp_path):
    steps, _ = steps_of(written(tmp_path, "1,,10", "2,2,20"))

    again = Steps.from_dataset(steps.to_dataset())

    assert again.times == steps.times
    for name in ("ids", "inputs", "target", "observed", "is_past"):
        np.testing.assert_array_equal(getattr(again, name), getattr(steps, name))
    assert not Steps.from_dataset(steps_of(tmp_path / "rows.csv", has_future=False)[0].to_dataset()).has_future


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,a,1"], "row 1 (line 2): found 'a' in column 'x', expected a number or an empty cell; mend the number, or"),
        (["1,inf,1"], "found 'inf' in column 'x', expected a number"),
        (
            ["02/08/2013,1,1"],
            "row 1 (line 2): found '02/08/2013' in column 'time', expected a date or a number as in other rows; write",
        ),
        (["yesterday,1,1"], "write dates as 2018-02-07 or 2018-02-07T13:00, or number the steps"),
        (["1,1,1", "2020-01-01,1,1"], "row 2 (line 3): found '2020-01-01' in column 'time'"),
        (["1,1,1", "1,2,2"], "row 2 (line 3): the time 1 stands in row 1 (line 2) too; keep one row a time, or name"),
    ],
)
def test_a_cell_that_is_no_step_is_named(tmp_path, lines, message):
    with pytest.raises(InputError) as refused:
        steps_of(written(tmp_path, *lines))

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (SeriesColumns("day", "y", ("y",)), {}, "no column 'day' (--time_column); columns found: ['time', 'x', 'y']"),
        (SeriesColumns("time", "y", ("z",)), {}, "no column 'z' (--input_columns)"),
        (COLUMNS, {"fill": "linear"}, "--fill 'linear' is not one of none, values, steps"),
    ],
)
def test_what_is_not_there_is_named_with_its_flag(tmp_path, columns, options, message):
    path = written(tmp_path, "1,1,1")
    with pytest.raises(InputError) as refused:
        steps_of(path, columns, **options)

    assert message in str(refused.value)


def series(folder, *, days=20, keys=("a",), name="rows.csv", begin=1):
    lines = [f"{day},{key},{day}" for key in keys for day in range(begin, begin + days)]
    return written(folder, *lines, head="time,key,y", name=name)


def splits_of(folder, *, across=False, lookback=3, columns=KEYED, **data):
    arguments = {"train_file": str(folder / "rows.csv"), "validation_fraction": 0.25, "test_fraction": 0.25, **data}
    return load_series(DataArguments(**arguments), columns, fill="none", lookback=lookback, past_across_splits=across)


def test_the_last_steps_are_held_out_at_the_same_time_of_every_series(tmp_path):
    lines = [f"{day},a,1" for day in range(1, 21)] + [f"{day},b,2" for day in range(6, 21)]
    written(tmp_path, *lines, head="time,key,y")

    splits = splits_of(tmp_path)

    times = {split: set(splits[split]["time"]) for split in ("train", "validation", "test")}
    assert times == {
        "train": set(range(1, 11)), "validation": set(range(11, 16)), "test": set(range(16, 21))
    }  # fmt: skip
    assert [said["rows"] for said in splits.describe().values()] == [15, 10, 10]
    assert splits.made["test"] == "the steps from 16 on"
    assert not any(splits["test"]["is_past"])


def test_the_past_of_validation_and_test_is_marked_where_it_is_allowed(tmp_path):
    series(tmp_path)

    splits = splits_of(tmp_path, across=True)

    assert splits["test"]["time"][:4] == [13, 14, 15, 16]
    assert splits["test"]["is_past"] == [True] * 3 + [False] * 5
    assert splits.describe()["test"]["rows"] == 5
    assert splits.made["validation"] == "the steps from 11 on, read with up to 3 steps before them"
    assert splits.fingerprints == splits_of(tmp_path).fingerprints


def test_files_of_their_own_are_taken_as_given(tmp_path):
    series(tmp_path)
    later = series(tmp_path, name="later.csv", days=5, begin=21)

    splits = splits_of(tmp_path, test_file=later)

    assert splits["test"]["time"][:] == [21, 22, 23, 24, 25]
    assert splits["validation"]["time"][:] == [16, 17, 18, 19, 20]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"fold": "1/5"}, "--fold 1/5: picks rows, and a series is cut in time alone; leave it out, and use"),
        ({"max_train_samples": 5}, "--max_train_samples 5: picks rows"),
        (
            {"test_fraction": 0.01},
            "--test_fraction 0.01: of 20 times in train it takes 0, expected 1 or more and a rest",
        ),
        ({"validation_file": "rows.csv"}, "--validation_file without --test_file: the test steps must be after those"),
        ({"train_file": None, "test_file": "rows.csv"}, "no train split: found ['test']; give --train_file, or a data"),
    ],
)
def test_a_split_that_can_not_be_cut_is_refused(tmp_path, monkeypatch, data, message):
    monkeypatch.chdir(tmp_path)
    series(tmp_path)

    with pytest.raises(InputError) as refused:
        splits_of(tmp_path, **data)

    assert message in str(refused.value)


def test_a_trained_forecaster_wants_a_test_file():
    with pytest.raises(InputError, match=r"a trained forecaster reads one; give --test_file"):
        load_steps(DataArguments(), KEYED, fill="none", labeled=True)
