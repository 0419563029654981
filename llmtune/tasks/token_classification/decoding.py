"""The likeliest tags of a sentence among those that IOB2 allows: Viterbi's algorithm over each word's likeliest tags.

A token classifier names the likeliest tag of each word by itself, so I-X may come to stand where no X began. Such a
sentence gets the valid sequence of highest probability, the product of its words', as AllenNLP decodes with
`allowed_transitions` (Gardner et al. 2018, https://aclanthology.org/W18-2501). Of a valid sequence that is itself.
"""

from collections.abc import Sequence

import numpy as np

from llmtune.text.tag_schemes import repair_iob2

# Tags of a word that are kept. Of a trained model the valid sequence hardly ever needs the fifth, and all of them would
# be most of what evaluation holds.
CANDIDATES = 4


def likeliest_iob2(tags: Sequence[Sequence[str]], probabilities: np.ndarray) -> tuple[list[str], list[int]]:
    """The likeliest valid sequence, and which of its candidates each word got.

    Where no sequence of candidates is valid the first ones are taken, by the rule of `repair_iob2`.

    Args:
        tags: of each of w words its k candidates, the likeliest first.
        probabilities: of the candidates, (w, k), finite.

    >>> likeliest_iob2([["I-PER", "B-PER"], ["I-PER", "O"]], np.array([[0.6, 0.3], [0.7, 0.2]]))
    (['B-PER', 'I-PER'], [1, 0])
    >>> likeliest_iob2([["O", "B-PER"], ["I-PER", "O"]], np.array([[0.9, 0.1], [0.5, 0.4]]))
    (['O', 'O'], [0, 1])
    """
    first = [candidates[0] for candidates in tags]
    repaired, places = repair_iob2(first)
    if not places:
        return first, [0] * len(first)
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities)
    before, best = ["O"] * probabilities.shape[1], np.zeros(probabilities.shape[1])
    came_from = []
    for candidates, here in zip(tags, logs, strict=True):
        allowed = np.array([[tag[0] != "I" or tag[2:] == left[2:] for tag in candidates] for left in before])
        paths = np.where(allowed, best[:, None], -np.inf)
        came_from.append(paths.argmax(axis=0))
        before, best = list(candidates), paths.max(axis=0) + here
    if not np.isfinite(best.max()):
        return repaired, [0] * len(first)
    chosen = [int(best.argmax())]
    for origin in came_from[:0:-1]:
        chosen.append(int(origin[chosen[-1]]))
    chosen.reverse()
    return [candidates[place] for candidates, place in zip(tags, chosen, strict=True)], chosen
