"""The loss against torch's own, the paper's formula and scikit-learn's class weights."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from llmtune.errors import InputError
from llmtune.tasks.losses import ClassificationLoss, RegressionLoss, classification_loss, read_class_weights

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, -0.3], [-1.0, 3.0, 0.0], [0.0, 0.0, 4.0]])
LABELS = torch.tensor([0, 2, 1, -100])
WEIGHTS = (0.5, 2.0, 7.0)


def loss(**settings):
    return ClassificationLoss(**settings)({"logits": LOGITS}, LABELS, torch.tensor(3))


def test_cross_entropy_is_torchs_mean_over_the_rows_that_count():
    assert loss() == pytest.approx(functional.cross_entropy(LOGITS[:3], LABELS[:3]).item())


def test_weights_multiply_each_item_and_the_divisor_is_the_number_of_items():
    each = functional.cross_entropy(LOGITS[:3], LABELS[:3], reduction="none")

    expected = (each * torch.tensor([0.5, 7.0, 2.0])).sum() / 3

    assert loss(class_weights=WEIGHTS) == pytest.approx(expected.item())


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_is_the_formula_of_lin_et_al(weights):
    probability = LOGITS.softmax(-1)[[0, 1, 2], [0, 2, 1]]

    each = -((1 - probability) ** 1.5) * probability.log()
    if weights:
        each = each * torch.tensor([0.5, 7.0, 2.0])

    assert loss(kind="focal", gamma=1.5, class_weights=weights) == pytest.approx((each.sum() / 3).item())


def test_focal_with_gamma_0_is_cross_entropy():
    assert loss(kind="focal", gamma=0.0, class_weights=WEIGHTS) == pytest.approx(loss(class_weights=WEIGHTS).item())


def test_smoothing_is_torchs():
    expected = functional.cross_entropy(LOGITS[:3], LABELS[:3], label_smoothing=0.2)

    assert loss(label_smoothing=0.2) == pytest.approx(expected.item())


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cumulative_sums_the_binary_cross_entropy_of_each_border(weights):
    probability = LOGITS[:3].double().softmax(-1)
    above = torch.stack([probability[:, 1:].sum(-1), probability[:, 2]], dim=1)  # of the first border, of the second
    is_above = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)

    each = functional.binary_cross_entropy(above, is_above, reduction="none").sum(-1)
    if weights:
        each = each * torch.tensor([0.5, 7.0, 2.0])

    assert loss(kind="cumulative", class_weights=weights) == pytest.approx((each.sum() / 3).item(), rel=1e-6)


def test_cumulative_of_two_classes_is_cross_entropy_and_stays_finite_for_sure_errors():
    logits, labels = LOGITS[:3, :2], torch.tensor([0, 1, 1])
    found = ClassificationLoss("cumulative")({"logits": logits}, labels)
    far = torch.tensor([[200.0, 0.0, -200.0]], requires_grad=True)
    wrong = ClassificationLoss("cumulative")({"logits": far}, torch.tensor([2]))
    wrong.backward()

    assert found == pytest.approx(functional.cross_entropy(logits, labels).item())
    assert wrong.item() == pytest.approx(200 + 400)
    assert torch.isfinite(far.grad).all()


def test_cumulative_of_classes_without_an_order_is_refused():
    class Arguments:
        loss, class_weights, focal_gamma, label_smoothing_factor = "cumulative", "none", 2.0, 0.0

    with pytest.raises(InputError, match="--loss cumulative: counts the borders between classes in an order, and"):
        classification_loss(Arguments(), Arguments(), [0, 1], ["O", "B-PER"])


NUMBERS = torch.tensor([[0.5], [-2.0], [3.0], [9.0]])
TARGETS = torch.tensor([1.0, -2.5, 0.0, -100.0])


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        ("mse", functional.mse_loss),
        ("mae", functional.l1_loss),
        ("huber", lambda found, wanted: functional.huber_loss(found, wanted, delta=0.7)),
    ],
)
def test_a_regression_loss_is_torchs_mean_over_the_rows_that_count(kind, reference):
    expected = reference(NUMBERS[:3, 0], TARGETS[:3]).item()

    assert RegressionLoss(kind, delta=0.7)({"logits": NUMBERS}, TARGETS, 3) == pytest.approx(expected)
    assert RegressionLoss(kind, delta=0.7)({"logits": NUMBERS}, TARGETS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"kind": "l2"}, "--loss 'l2' is not one of mse, mae, huber: squared, absolute or Huber error"),
        ({"delta": 0.0}, "--huber_delta 0.0: expected a number above 0; 1.0 is one standard deviation"),
    ],
)
def test_a_regression_loss_that_does_not_exist_is_refused(settings, text):
    with pytest.raises(InputError, match=text):
        RegressionLoss(**settings)


@pytest.mark.parametrize(
    "settings",
    [{}, {"kind": "focal"}, {"kind": "cumulative"}, {"label_smoothing": 0.1}, {"class_weights": WEIGHTS}],
)
def test_micro_batches_of_any_cut_add_up_to_the_whole_in_loss_and_gradient(settings):
    whole, parts = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    of = ClassificationLoss(**settings)

    of({"logits": whole}, LABELS, 3).backward()
    for cut in ([0], [1, 3], [2]):
        of({"logits": parts[cut]}, LABELS[cut], 3).backward()

    torch.testing.assert_close(parts.grad, whole.grad)
    assert whole.grad[3].abs().sum() == 0, "-100 takes no part"
    assert whole.grad[:3].abs().sum() > 0


def test_focal_of_a_certain_and_right_row_has_a_finite_gradient():
    sure = torch.tensor([[60.0, -60.0]], requires_grad=True)

    ClassificationLoss("focal", gamma=0.5)({"logits": sure}, torch.tensor([0])).backward()

    assert torch.isfinite(sure.grad).all()


def test_token_heads_count_tokens_and_bfloat16_is_summed_in_float32():
    logits = LOGITS.reshape(2, 2, 3)

    value = ClassificationLoss()({"logits": logits.bfloat16()}, LABELS.reshape(2, 2))

    assert value.dtype == torch.float32
    assert value == pytest.approx(functional.cross_entropy(LOGITS.bfloat16().float()[:3], LABELS[:3]).item())


def test_balanced_weights_are_scikit_learns():
    labels = [0] * 7 + [1] * 2 + [2]

    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)

    assert read_class_weights("balanced", labels, "abc") == pytest.approx(expected.tolist())


def test_weights_by_hand_stand_in_label_order():
    assert read_class_weights("none", [0, 1], ["ham", "spam"]) is None
    assert read_class_weights("1, 2.5", [0, 1], ["ham", "spam"]) == (1.0, 2.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("balance", "--class_weights 'balance': expected none, balanced, or one number a class as a,b,…"),
        ("1,2,3", "--class_weights '1,2,3': expected 2 numbers above 0, in the order ham, spam"),
        ("1,0", "expected 2 numbers above 0"),
        ("1,-1", "expected 2 numbers above 0"),
        ("1,nan", "expected 2 numbers above 0"),
        ("1,inf", "expected 2 numbers above 0"),
        ("", "expected none, balanced"),
    ],
)
def test_bad_weights_are_refused(text, message):
    with pytest.raises(InputError) as refused:
        read_class_weights(text, [0, 1], ["ham", "spam"])

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "hinge"}, "--loss 'hinge' is not one of cross_entropy, focal"),
        ({"kind": "focal", "label_smoothing": 0.1}, "--loss focal and --label_smoothing_factor exclude each other"),
        ({"kind": "focal", "gamma": -1.0}, "--focal_gamma -1.0 is not 0 or more; 2.0 is the paper's choice"),
        ({"label_smoothing": 1.5}, "--label_smoothing_factor 1.5 is not between 0 and 1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InputError) as refused:
        ClassificationLoss(**settings)

    assert message in str(refused.value)
