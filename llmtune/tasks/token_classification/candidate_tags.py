"""What evaluation keeps of a tagger's logits: of each token the tags that its word may get."""

from collections.abc import Sequence

import torch

from llmtune.text.likeliest_tags import TYPES


def candidate_tags(logits: torch.Tensor, tag_names: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """The k tags of each token that its sequence may take, and their probabilities, the likeliest first.

    They are O and, of the likeliest types, the tags that begin and continue an entity; k is the same for all tokens.

    Args:
        logits: (…, c).
        tag_names: IOB2 tags, in the order of the logits.

    Returns:
        Ids and probabilities, (…, k) each; NaN where the logits are not finite.
    """
    probabilities = logits.float().softmax(dim=-1)  # one NaN or infinity makes all of a token's NaN
    outside = tag_names.index("O")
    places: dict[str, list[int]] = {}
    for place, name in enumerate(tag_names):
        if name != "O":
            places.setdefault(name[2:], []).append(place)
    # A type of one tag has it twice.
    of_types = torch.tensor([[of[0], of[-1]] for of in places.values()], dtype=torch.long)
    of_types = of_types.reshape(-1, 2).to(logits.device)
    by_type = probabilities[..., of_types].amax(dim=-1)
    likeliest = by_type.argsort(dim=-1, descending=True, stable=True)[..., :TYPES]
    kept = torch.cat([likeliest.new_full((*likeliest.shape[:-1], 1), outside), of_types[likeliest].flatten(-2)], dim=-1)
    likeliest_first, order = probabilities.gather(-1, kept).sort(dim=-1, descending=True, stable=True)
    small = len(tag_names) <= torch.iinfo(torch.int8).max
    return kept.gather(-1, order).to(torch.int8 if small else torch.int32), likeliest_first
