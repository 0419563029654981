"""`llmtune check` of labels with a decimal comma, as German and Portuguese write numbers."""

import json

import pytest

from llmtune import cli
from tests.text.test_near_duplicates import make_texts


def checked(capsys, folder, *flags, **splits):
    paths = []
    for seed, (name, labels) in enumerate(splits.items()):
        texts = make_texts(len(labels), seed, (12, 20))
        rows = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=True)]
        paths.append(folder / f"{name}.jsonl")
        paths[-1].write_text("\n".join(map(json.dumps, rows)))
    code = cli.run(["check", *map(str, paths), *flags, "--strict"])
    return code, " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("task", [[], ["--task", "regression"]])
def test_numbers_with_a_decimal_comma_are_numbers_to_be_rewritten(task, tmp_path, capsys):
    code, out = checked(capsys, tmp_path, *task, train=["3,5", "4,0", "2", "1.200,25"] * 10)

    assert code == 1
    assert "error numbers: a decimal comma in 30 of 40 train rows train line 1: '3,5'" in out
    assert "write the comma as a point, 3.5 for 3,5, and thousands without a separator" in out
    assert "--label_separator ',' reads them" in out
    assert "2 to 1200.25" in out.replace(",", "").replace("1.2e+03", "1200.25")
    assert "balance" not in out
    assert "no number in" not in out


def test_a_comma_in_the_test_file_alone_is_seen(tmp_path, capsys):
    _, out = checked(capsys, tmp_path, train=["3.5", "4.5"] * 20, test=["3,5", "4,5"] * 20)

    assert "error numbers: a decimal comma in 40 of 40 test rows" in out


def test_a_class_with_a_comma_in_its_name_is_a_class(tmp_path, capsys):
    _, out = checked(capsys, tmp_path, train=["size 3,5", "size 4,0"] * 20)

    assert "decimal comma" not in out
