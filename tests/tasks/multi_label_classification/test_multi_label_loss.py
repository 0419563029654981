"""The loss of several labels a row against torch's own and the paper's formula."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from llmtune.errors import InputError
from llmtune.tasks.losses import ClassificationLoss
from llmtune.tasks.multi_label_classification.loss import LabelSetLoss, read_positive_weights

LOGITS = torch.tensor([[2.0, -1.0], [0.1, -0.3], [-1.0, 3.0], [0.0, 4.0]])
LABELS = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [-100.0, -100.0]])
WEIGHTS = (0.5, 7.0)


def loss(*settings, **named):
    return LabelSetLoss(ClassificationLoss(*settings, **named))({"logits": LOGITS}, LABELS, torch.tensor(6)).item()


def test_it_is_torchs_mean_over_rows_and_labels_that_count_with_weights_of_positive_rows():
    rows, labels = LOGITS[:3], LABELS[:3]

    assert loss() == pytest.approx(torch.nn.BCEWithLogitsLoss()(rows, labels).item())
    weighted = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(WEIGHTS))(rows, labels).item()
    assert loss(class_weights=WEIGHTS) == pytest.approx(weighted)
    assert LabelSetLoss()({"logits": LOGITS}, LABELS) == pytest.approx(loss())


def test_focal_is_the_formula_of_lin_et_al():
    probability = torch.where(LABELS[:3] == 1, LOGITS[:3].sigmoid(), 1 - LOGITS[:3].sigmoid())

    each = -((1 - probability) ** 1.5) * probability.log()

    assert loss("focal", gamma=1.5) == pytest.approx(each.mean().item())
    assert loss("focal", gamma=0.0) == pytest.approx(loss())


def test_smoothing_moves_each_target_towards_one_half():
    target = LABELS[:3] * 0.8 + 0.1

    expected = functional.binary_cross_entropy_with_logits(LOGITS[:3], target)

    assert loss(label_smoothing=0.2) == pytest.approx(expected.item())


def test_the_losses_of_rows_are_those_of_the_learning_curves():
    rows, labels = LOGITS[:3], LABELS[:3]

    each = functional.binary_cross_entropy_with_logits(rows, labels, reduction="none").mean(dim=1)

    np.testing.assert_allclose(LabelSetLoss().row_losses(rows.numpy(), labels.numpy()), each, rtol=1e-6)


def test_balanced_weights_are_rows_without_a_label_over_rows_with_it():
    labels = np.array([[True, False, True], [False, False, True], [False, True, True], [False, False, True]])

    assert read_positive_weights("balanced", labels, ("a", "b", "all")) == (3.0, 3.0, 1.0)
    assert read_positive_weights("none", labels, ("a", "b", "c")) is None
    assert read_positive_weights("1,2,0.5", labels, ("a", "b", "c")) == (1.0, 2.0, 0.5)
    with pytest.raises(InputError, match=r"expected none, balanced, or 3 numbers above 0 as a,b,…: the weight of the"):
        read_positive_weights("1,2", labels, ("a", "b", "c"))
