"""Whether the labels of a table made elsewhere fit together: spelling, entity types, and the order of probabilities.

A table whose predictions can never equal a reference scores 0, and one whose probabilities are in another order than
its labels scores some number; neither says anything about the model, so both are refused. Letters: n rows, c classes.
"""

from collections.abc import Iterable, Sequence
from typing import Any

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


def check_names(reference: Sequence[str], prediction: Sequence[str], where: str, *, what: str = "label") -> None:
    """Refuses predicted labels that are those of the references under other names.

    Args:
        reference: the label of each row (or word).
        prediction: likewise.
        where: begins the message.
        what: the labels are called.

    Raises:
        InputError: as `check_spelling`; or no label is in both columns; or some predicted ones never occur in the
            references, and one renaming makes most rows right, significantly more than now: ids from 0 for names or for
            numbers from 1, "cats" for "cat".
    """
    _check(set(reference), set(prediction), _renaming(reference, prediction), where, what)


def check_entity_types(reference: Sequence[Any], prediction: Sequence[Any], where: str) -> None:
    """`check_names` of the types in tags such as B-PER; of the rows with as many tags in both columns, lists of texts.

    Raises:
        InputError: as that does.
    """
    types = [
        (_entity_type(tag), _entity_type(other))
        for row, others in zip(reference, prediction, strict=True)
        if isinstance(row, list) and isinstance(others, list) and len(row) == len(others)
        for tag, other in zip(row, others, strict=True)
    ]
    both = [pair for pair in types if all(pair)]
    renaming = _renaming([name for name, _ in both], [label for _, label in both])
    names, predicted = {name for name, _ in types} - {""}, {label for _, label in types} - {""}
    _check(names, predicted, renaming, where, "entity type")


def check_label_sets(reference: Sequence[Sequence[str]], prediction: Sequence[Sequence[str]], where: str) -> None:
    """`check_spelling` of rows with several labels each; and that some label is in both columns.

    Raises:
        InputError: as that does, or no predicted label is one of the references.
    """
    names, predicted = ({label for row in rows for label in row} for rows in (reference, prediction))
    _check(names, predicted, {}, where, "label")


def check_independent_order(
    prediction: np.ndarray, probabilities: np.ndarray, names: Sequence[str], where: str
) -> None:
    """Refuses probabilities of several labels a row that are probably in another order than the labels.

    Args:
        prediction: bool (n, c); whatever the thresholds, the rows predicted as a label have the higher probabilities.
        probabilities: (n, c) in the order of `names`, NaN where unknown.
        names: the c labels.
        where: begins the message.

    Raises:
        InputError: the predicted rows of the labels mostly have the lower probabilities.
    """
    finite = np.isfinite(probabilities).all(axis=1)
    prediction, probabilities = prediction[finite], probabilities[finite]
    told = [label for label in range(len(names)) if 0 < prediction[:, label].sum() < len(prediction)]
    agree = np.array([[_separation(prediction[:, a], probabilities[:, b]) for b in told] for a in told])
    if len(told) < 2 or np.diag(agree).mean() >= 0.5:
        return
    labels, columns = linear_sum_assignment(agree, maximize=True)
    order = list(names)
    for label, column in zip(labels, columns, strict=True):
        order[told[column]] = names[told[label]]
    raise InputError(
        f"{where}: rows that are predicted as a label mostly have a lower probability of it than the others, if the "
        f"probabilities are in the order {', '.join(names)}; did you mean --labels {','.join(order)}? Name the labels "
        "in the order of the probabilities with --labels a,b,…"
    )


def _entity_type(tag: Any) -> str:
    return tag[2:] if isinstance(tag, str) and len(tag) > 2 and tag[1] == "-" else ""


def _check(names: set[str], predicted: set[str], renaming: dict[str, str], where: str, what: str) -> None:
    check_spelling(names, predicted, where, what=what)
    if names and predicted and not names & predicted:
        meant = renaming or _similar(sorted(predicted), sorted(names))
        pairs = "".join(f" {label!r}: did you mean {name!r}?" for label, name in list(meant.items())[:SHOWN])
        article = "an" if what[0] in "aeiou" else "a"
        raise InputError(
            f"{where}: no prediction is {article} {what} of the references: predicted are {_listed(predicted)}, the "
            f"references have {_listed(names)}.{pairs} Write the same names in both columns; if every row is really "
            f"wrong, name all {what}s with --labels"
        )
    if renaming:
        pairs = "; ".join(f"{label!r}: did you mean {name!r}?" for label, name in list(renaming.items())[:SHOWN])
        strangers = predicted - names
        raise InputError(
            f"{where}: {_listed(strangers)} {'is' if len(strangers) == 1 else 'are'} predicted and in no reference, "
            f"and most rows are right under other names. {pairs} Write the same names in both columns; if they are "
            f"different {what}s, name all of them with --labels"
        )


def _similar(predicted: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """By spelling or position the name that a label may mean, in the direction in which it does."""
    meant = {label: class_of_id(label, names) or closest_label(label, names) for label in predicted}
    if not any(meant.values()):
        meant = {name: class_of_id(name, predicted) for name in names}
    return {label: name for label, name in meant.items() if name is not None}


def _renaming(reference: Sequence[str], prediction: Sequence[str]) -> dict[str, str]:
    """The names under which most rows are right, and significantly more than now; empty where there are none.

    Which predicted label is which name: the assignment under which most rows are right.
    """
    names, predicted = sorted(set(reference)), sorted(set(prediction))
    if not names or set(predicted) <= set(names):
        return {}
    given, wanted = np.searchsorted(predicted, prediction), np.searchsorted(names, reference)
    counts = np.zeros((len(predicted), len(names)), dtype=np.int64)
    np.add.at(counts, (given, wanted), 1)
    same = np.array([[label == name for name in names] for label in predicted])
    labels, meant = linear_sum_assignment(counts + 0.5 * same, maximize=True)
    mostly = [2 * counts[label, name] > counts[label].sum() for label, name in zip(labels, meant, strict=True)]
    pairs = {predicted[i]: names[j] for i, j, holds in zip(labels, meant, mostly, strict=True) if holds}
    fits = np.array([pairs.get(label) == name for label, name in zip(prediction, reference, strict=True)])
    agrees = np.array([label == name for label, name in zip(prediction, reference, strict=True)])
    if fits.mean() < 0.5 or not _significantly_more(int((fits & ~agrees).sum()), int((agrees & ~fits).sum())):
        return {}
    return {label: name for label, name in pairs.items() if label != name}


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
    return label if fits.mean() >= 0.5 and _significantly_more(gained, lost) else None


def _significantly_more(gained: int, lost: int) -> bool:
    if gained < FEWEST or gained <= lost:
        return False
    return float(special.bdtrc(gained - 1, gained + lost, 0.5)) < SIGNIFICANT  # so many or more, were either as likely


def _listed(labels: Iterable[str]) -> str:
    names = sorted(labels)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
