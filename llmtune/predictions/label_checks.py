"""Whether the labels of a table made elsewhere fit together: spelling, entity types, and the order of probabilities.

A table whose predictions can never equal a reference scores 0, and one whose probabilities are in another order than
its labels scores some number; neither says anything about the model, so both are refused. Letters: n rows, c classes.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import special
from scipy.optimize import linear_sum_assignment

from llmtune.errors import InputError
from llmtune.evidence import FEWEST, SIGNIFICANT
from llmtune.predictions.label_spelling import class_of_id, closest_label, other_spelling

SHOWN = 5  # labels named in a message
TIE = 1e-9  # probabilities this close are equally high


def check_spelling(reference: Iterable[str], prediction: Iterable[str], where: str, *, what: str = "label") -> None:
    """Refuses predicted labels that no reference has, but that one has in another spelling.

    Args:
        reference: labels that occur there.
        prediction: labels that occur there.
        where: begins the message.
        what: the labels are called.

    Raises:
        InputError: "Spam" is predicted where the references have "spam"; so 1.0 and 1, true and 1, LABEL_1 and 1.
    """
    names = sorted(set(reference))
    meant = {label: other_spelling(label, names) for label in sorted(set(prediction) - set(names))}
    meant = {label: name for label, name in meant.items() if name is not None}
    if not meant:
        return
    pairs = "; ".join(f"{label!r}: did you mean {name!r}?" for label, name in list(meant.items())[:SHOWN])
    noun = f"{what} is" if len(meant) == 1 else f"{what}s are"
    raise InputError(
        f"{where}: {len(meant)} predicted {noun} not in the references, but "
        f"spelled otherwise there. {pairs} Spell both columns alike; if they are different {what}s, name all of them "
        "with --labels"
    )


def check_overlap(reference: Iterable[str], prediction: Iterable[str], where: str, *, what: str = "label") -> None:
    """Refuses predictions that share no label with the references.

    Raises:
        InputError: every row would be wrong; ids against names and typos are named with what they may mean.
    """
    names, predicted = sorted(set(reference)), sorted(set(prediction))
    article = "an" if what[0] in "aeiou" else "a"
    if not names or not predicted or set(names) & set(predicted):
        return
    meant = [(label, class_of_id(label, names) or closest_label(label, names)) for label in predicted]
    pairs = [f" {label!r}: did you mean {name!r}?" for label, name in meant if name is not None]
    pairs += [f" {name!r}: did you mean {label!r}?" for name in names if (label := class_of_id(name, predicted))]
    raise InputError(
        f"{where}: no prediction is {article} {what} of the references: predicted are {_listed(predicted)}, the "
        f"references have {_listed(names)}.{''.join(pairs[:SHOWN])} Write the same names in both columns; if "
        f"every row is really wrong, name all {what}s with --labels"
    )


def check_entity_types(reference: Iterable[str], prediction: Iterable[str], where: str) -> None:
    """`check_spelling` and `check_overlap` of the types in tags such as B-PER.

    Raises:
        InputError: as those do.
    """
    wanted, predicted = (
        {tag[2:] for tag in tags if len(tag) > 2 and tag[1] == "-"} for tags in (reference, prediction)
    )
    check_spelling(wanted, predicted, where, what="entity type")
    check_overlap(wanted, predicted, where, what="entity type")


def check_order(
    prediction: np.ndarray, probabilities: np.ndarray, names: Sequence[str], where: str, *, named: bool
) -> None:
    """Refuses probabilities that are probably in another order than the labels.

    With two classes any threshold may have been used, so that only a prediction that goes against its own probability
    counts; with more, the prediction should be the most probable class.

    Args:
        prediction: class ids, int (n,).
        probabilities: (n, c) in the order of `names`, NaN where unknown.
        names: the c labels.
        where: begins the message.
        named: whether the user gave this order; then only an order that fits significantly better is a reason.

    Raises:
        InputError: the prediction mostly isn't what the probabilities say, with the order that would fit.
    """
    finite = np.isfinite(probabilities).all(axis=1)
    prediction, probabilities = prediction[finite], probabilities[finite]
    if not len(prediction) or len(names) < 2:
        return
    agrees = probabilities[np.arange(len(prediction)), prediction] >= probabilities.max(axis=1) - TIE
    order = _better_order(prediction, probabilities, agrees)
    wrong = order is not None
    if len(names) == 2 and len(set(prediction.tolist())) == 2:
        wrong = _separation(prediction == 1, probabilities[:, 1]) < 0.5
    elif agrees.mean() < 0.5 and not named:
        wrong = True
    if not wrong:
        return
    order = np.array([1, 0]) if order is None and len(names) == 2 else order
    meant = "" if order is None else f"; did you mean --labels {','.join(names[label] for label in order)}?"
    raise InputError(
        f"{where}: in {int((~agrees).sum()):,} of {len(agrees):,} rows the prediction is not the most probable class "
        f"if the probabilities are in the order {', '.join(names)}{meant or '.'} Name the labels in the order of the "
        "probabilities with --labels a,b,…"
    )


def _separation(positive: np.ndarray, probability: np.ndarray) -> float:
    """Chance that a row predicted positive has the higher probability (Mann-Whitney): 1 for any threshold."""
    n_positive = int(positive.sum())
    _, place, counts = np.unique(probability, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # from 1, equal values share their mean rank
    wins = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * (len(positive) - n_positive)))


def _better_order(prediction: np.ndarray, probabilities: np.ndarray, agrees: np.ndarray) -> np.ndarray | None:
    """For each column the label that it is the probability of, if that fits most rows and significantly more than now.

    Which column goes with which label: the assignment under which most predictions are the most probable class.
    """
    c = probabilities.shape[1]
    highest = probabilities.argmax(axis=1)
    counts = np.zeros((c, c), dtype=np.int64)
    np.add.at(counts, (highest, prediction), 1)
    # Labels that are never predicted tell nothing: the small bonus leaves them where they are.
    _, label = linear_sum_assignment(counts + 0.5 * np.eye(c), maximize=True)
    fits = label[highest] == prediction
    gained, lost = int((fits & ~agrees).sum()), int((agrees & ~fits).sum())
    if fits.mean() < 0.5 or gained < FEWEST or gained <= lost:
        return None
    p = float(special.bdtrc(gained - 1, gained + lost, 0.5))  # of so many gains or more, were either as likely
    return label if p < SIGNIFICANT else None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
