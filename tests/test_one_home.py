"""A fact has one home: the same constant twice drifts into two answers."""

import ast
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

import llmtune
from llmtune import evidence
from llmtune.arguments.data import SPLITS
from llmtune.metrics.core.base import IGNORED
from llmtune.stats import softmax

ROOT = Path(llmtune.__file__).parent
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}


def places(value: object) -> list[str]:
    """Where a literal stands in llmtune."""
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple | ast.List | ast.UnaryOp | ast.Constant) and literal(node) == value
    ]


def literal(node: ast.AST) -> object:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("value", "home"),
    [
        (IGNORED, "metrics/core/base.py"),
        (evidence.SIGNIFICANT, "evidence.py"),
        (evidence.Z_SURE, "evidence.py"),
    ],
)
def test_a_number_that_many_read_is_written_once(value, home):
    assert [place.partition(":")[0] for place in places(value)] == [home]


def test_the_splits_are_named_once():
    assert SPLITS == ("train", "validation", "test")
    assert places(SPLITS) == []  # they are the keys of SPLIT_NAMES


def test_no_constant_is_defined_in_two_modules():
    homes = defaultdict(list)
    for path, tree in TREES.items():
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                for name in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(name, ast.Name) and name.id in SHARED:
                        homes[name.id].append(str(path.relative_to(ROOT)))

    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}
    assert homes.keys() == SHARED


SHARED = {"IGNORED", "SPLITS", "SPLIT_NAMES", "SIGNIFICANT", "Z_SURE", "SURE_LEVEL", "ENOUGH", "FEWEST", "BASE_FOLDER"}


def test_the_standard_errors_that_are_sure_belong_to_the_p_that_is_significant():
    assert pytest.approx(stats.norm.isf(evidence.SIGNIFICANT), abs=5e-4) == evidence.Z_SURE
    assert pytest.approx(1 - 2 * evidence.SIGNIFICANT) == evidence.SURE_LEVEL


def test_softmax_is_scipys_and_a_row_that_is_not_finite_is_nan():
    logits = np.array([[1.0, -2.0, 800.0], [0.0, np.nan, 1.0], [np.inf, 0.0, 1.0], [-1.0, -1.5, 3.0], [-np.inf, 0, 1]])

    probabilities = softmax(logits)

    np.testing.assert_array_equal(probabilities[[0, 3]], special.softmax(logits[[0, 3]], axis=1))
    assert np.isnan(probabilities[[1, 2, 4]]).all()
