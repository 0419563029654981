"""What evaluation keeps of a tagger's logits: of each token the tags that its word may get."""

import torch

from llmtune.text.likeliest_tags import CANDIDATES


def candidate_tags(logits: torch.Tensor, outside: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k tags of each token that its sequence may take, and their probabilities, the likeliest first.

    Args:
        logits: (…, c).
        outside: the place of O among the c tags.

    Returns:
        Ids and probabilities, (…, k) each; NaN where the logits are not finite.
    """
    probabilities = logits.float().softmax(dim=-1)  # one NaN or infinity makes all of a token's NaN
    above_all = probabilities.clone()
    above_all[..., outside] = 2.0
    kept = above_all.argsort(dim=-1, descending=True, stable=True)[..., :CANDIDATES]
    likeliest, order = probabilities.gather(-1, kept).sort(dim=-1, descending=True, stable=True)
    ids = kept.gather(-1, order)
    return ids.to(torch.int8 if logits.shape[-1] <= torch.iinfo(torch.int8).max else torch.int32), likeliest
