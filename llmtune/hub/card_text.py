"""The text of a model card: what is the report's, what a person wrote around it, and how it reads on the Hub."""

import re
from typing import Any

import yaml

# A card is made again on every report. What stands between these marks is ours; the rest is its writer's.
BEGIN, END = "<!-- llmtune: begin -->", "<!-- llmtune: end -->"
MEASURED_HERE = ", measured with the weights that lie here"
HERE = 'name = "."  # the folder of this card, or its id on the Hub'
HERE_WITH_BASE = 'name = "."  # the folder of this card'


def with_kept(card: str, earlier: str) -> str:
    """A new card with what a person wrote around the marks of an earlier one, and their own front matter keys."""
    if BEGIN not in earlier or END not in earlier:
        return card
    front, body = split_card(card)
    earlier_front, earlier_body = split_card(earlier)
    before, _, rest = earlier_body.partition(BEGIN)
    after = rest.partition(END)[2]
    ours = body[body.index(BEGIN) : body.index(END) + len(END)]
    return join_card({**earlier_front, **front}, f"{before}{ours}{after}")


def card_on_hub(card: str, repo_id: str, earlier: str = "") -> str:
    """A run's card as it stands in a repository, with what a person wrote in the card that is there."""
    download = f'from huggingface_hub import snapshot_download\n\nname = snapshot_download("{repo_id}")'
    front, body = split_card(card)
    for model in front.get("model-index", []):
        model["name"] = repo_id.rpartition("/")[2]
    body = body.replace(HERE, f'name = "{repo_id}"').replace(HERE_WITH_BASE, download)
    return with_kept(join_card(front, body), earlier)


def without_weights(card: str) -> str:
    """A run's card where its weights don't lie: no code that loads them, and no library."""
    front, body = split_card(card)
    front.pop("library_name", None)
    body = re.sub(r"## How to use\n.*?(?=## )", "", body, flags=re.DOTALL).replace(MEASURED_HERE, "")
    return join_card(front, body)


def split_card(card: str) -> tuple[dict[str, Any], str]:
    """The front matter and the text below it; empty of a card without one."""
    match = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    if match is None:
        return {}, card
    return yaml.safe_load(match[1]) or {}, card[match.end() :]


def join_card(front: dict[str, Any], body: str) -> str:
    """A card of its front matter and the text below it."""
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)}---\n{body}"
