"""What a person reads at the terminal, in any width."""

import io

import numpy as np
import pytest
from rich.console import Console

from llmtune.baselines import majority
from llmtune.metrics import Score, score_predictions
from llmtune.metrics.core.base import with_interval
from llmtune.predictions import make_predictions
from llmtune.terminal.console import Terminal, label_typo_lines, split_lines

SPLIT = {
    "rows": 200,
    "classes": {"ham": 150, "spam": 50},
    "duplicates": {"train": 3, "train/test": 0},
    "made": "as given",
}


def printed(act, width=100) -> str:
    out = io.StringIO()
    act(Terminal(console=Console(file=out, width=width, highlight=False)))
    return out.getvalue()


def predictions(n_classes=2, rows=300):
    names = tuple(f"class {i:02d}" for i in range(n_classes))
    reference = [names[i % n_classes] for i in range(rows)]
    predicted = [names[(i + (i % 7 == 0)) % n_classes] for i in range(rows)]
    likely = np.full((rows, n_classes), 0.1 / max(1, n_classes - 1))
    for row, label in enumerate(predicted):
        likely[row, names.index(label)] = 0.9
    return make_predictions(
        "classification", {"reference": reference, "prediction": predicted, "probabilities": likely}, label_names=names
    )


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (Score(0.9123, 0.87, 0.9434, 10, "s"), "0.912 [0.870, 0.943]"),
        (Score(0.9123, None, None, 10, "s", "few"), "0.912"),
        (Score(None, None, None, 10, "s", "nothing"), "undefined"),
    ],
)
def test_a_score_is_shown_with_its_interval(score, said):
    assert with_interval(score) == said


def test_the_data_block_tells_sizes_balance_repeats_and_cuts():
    said = printed(
        lambda terminal: terminal.block("Data", split_lines({"train": SPLIT}, {"train": 4, "test": 0}, 256)), width=120
    )

    assert "train           200 rows: ham 150 (75.0%), spam 50 (25.0%); as given" in said
    assert "repeated texts: train 3\n" in said
    assert "texts truncated at 256 tokens: train 4\n" in said


def test_a_class_that_is_another_misspelled_is_said_with_counts_and_remedy():
    classes = {"ham": 3000, "spam": 400, "Ham": 9, " spam ": 3, "spma": 2}
    split = {**SPLIT, "rows": 3414, "classes": classes}

    said = " ".join(printed(lambda terminal: terminal.block("Data", split_lines({"train": split}, {}, 256))).split())

    assert (
        "'Ham' (9 rows) is a separate class here, but is probably 'ham' (3,000 rows): if so, write 'ham' in the file"
        in said
    )
    assert "' spam ' (3 rows) is a separate class here, but is probably 'spam' (400 rows)" in said
    assert "'spma' (2 rows)" in said
    assert "probably" not in printed(lambda terminal: terminal.block("Data", split_lines({"train": SPLIT}, {}, 256)))
    assert label_typo_lines([{f"name{i}": 900, f"Name{i}": 1} for i in range(1)] * 2, "entity") == [
        "'Name0' (2 entities) is a separate class here, but is probably 'name0' (1,800 entities): "
        "if so, write 'name0' in the file"
    ]


@pytest.mark.parametrize(
    "counts",
    [
        {"1": 900, "-1": 20, "0": 500},
        {"4.5": 900, "4.0": 3, "5": 800},
        {"2020": 900, "2021": 2},
        {"1234567": 90, "1234568": 2},
        {"1.0": 90, "10": 1},
    ],
)
def test_numbers_are_never_called_misspellings_of_each_other(counts):
    assert label_typo_lines([counts]) == []


def test_space_around_a_number_is_a_slip():
    assert "' 1' (2 rows) is a separate class here, but is probably '1'" in label_typo_lines([{"1": 90, " 1": 2}])[0]


@pytest.mark.parametrize(
    ("counts", "label", "meant"),
    [
        ({"1": 90, "1.0": 40}, "'1.0'", "'1'"),
        ({"true": 90, "True": 40}, "'True'", "'true'"),
        ({"caf\u00e9": 90, "cafe\u0301": 40}, r"'cafe\u0301'", r"'caf\xe9'"),
        ({"non_spam": 90, "non-spam": 40}, "'non-spam'", "'non_spam'"),
    ],
)
def test_a_class_spelled_otherwise_is_named_so_that_the_two_are_told_apart(counts, label, meant):
    assert label_typo_lines([counts]) == [
        f"{label} (40 rows) is a separate class here, but is probably {meant} (90 rows): "
        f"if so, write {meant} in the file"
    ]


def test_the_test_block_shows_numbers_baselines_classes_and_matrix():
    table = predictions()
    scores = score_predictions(table)
    beside = {"majority": score_predictions(majority(table.column("reference"), table))}

    said = printed(lambda terminal: terminal.test(table, scores, beside, ["a note"]))

    assert "Test: 300 rows" in said
    accuracy = next(line for line in said.splitlines() if line.startswith("accuracy"))
    assert with_interval(scores["accuracy"]) in accuracy
    assert accuracy.rstrip().endswith("0.500"), "the majority class beside it"
    assert "class 00   150" in said
    assert "129 (86.0%)" in said or "128 (85.3%)" in said
    assert said.rstrip().endswith("a note")


def test_undefined_numbers_are_said_and_not_hidden():
    table = make_predictions(
        "classification",
        {"reference": ["a", "b"], "prediction": ["a", "b"], "probabilities": np.full((2, 2), np.nan)},
        label_names=("a", "b"),
    )

    said = printed(lambda terminal: terminal.test(table, score_predictions(table), {}))

    assert next(line for line in said.splitlines() if line.startswith("log_loss")).split() == ["log_loss", "undefined"]


@pytest.mark.parametrize("n_classes", [2, 13, 40])
@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal_or_110_columns(width, n_classes):
    table = predictions(n_classes)
    scores = score_predictions(table)

    said = printed(lambda terminal: terminal.test(table, scores, {"majority": scores}), width=width)

    assert max(len(line.rstrip()) for line in said.splitlines()) <= min(width, 110)
    assert ("reference ↓" in said) == (n_classes <= 12)
    if width == 200:  # narrower ones break the title
        assert ("the 20 classes with the lowest F1" in said) == (n_classes > 20)


def test_only_the_first_process_prints(capsys):
    Terminal(main_process=False).block("Data", ["rows"])
    assert capsys.readouterr().out == ""

    Terminal(main_process=True).block("Data", ["[red]not markup[/red]"])
    assert "[red]not markup[/red]" in capsys.readouterr().out


def test_a_label_that_looks_like_markup_is_shown_as_it_is(capsys):
    names = ("[x]", "[/]", ":cat:")
    table = make_predictions("classification", {"reference": names, "prediction": names}, label_names=names)

    Terminal().test(table, score_predictions(table), {})

    lines = capsys.readouterr().out.splitlines()
    assert all(sum(line.startswith(name) for line in lines) == 2 for name in names), "in the classes and the matrix"
