"""The code of a card that answers a question: plain transformers, the same windows and spans as the run's own."""

from typing import Any

# The families whose models take the types of a pair's tokens; others would refuse them.
WITH_TOKEN_TYPES = (
    "bert", "roberta", "xlm-roberta", "deberta-v2", "albert", "electra", "camembert", "longformer", "deberta", "ernie",
    "rembert", "xlm-roberta-xl",
)  # fmt: skip
ASKED = 'question, context = "Who wrote the letter?", "The letter was written by Ada Lovelace in 1843."\n'
PAIR = """\
encoded = tokenizer(question, context, truncation="only_second", max_length={max_length}, stride={doc_stride}, \
return_overflowing_tokens=True, return_offsets_mapping=True, return_token_type_ids=True, \
split_special_tokens=True)
windows = []
for i, pairs in enumerate(encoded["offset_mapping"]):
    inputs = {{name: torch.tensor([encoded[name][i]]) for name in {names}}}
    characters = {{token: pairs[token] for token, part in enumerate(encoded.sequence_ids(i)) if part == 1}}
    windows.append((inputs, characters, 0))
"""
LEFT_TO_RIGHT = """\
head = tokenizer(question + "\\n", split_special_tokens=True)["input_ids"]
encoded = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True, \
split_special_tokens=True)
tokens, pairs, room = encoded["input_ids"], encoded["offset_mapping"], {max_length} - len(head) - 1
windows = []
for begin in range(0, max(1, len(tokens) - {doc_stride}), room - {doc_stride}):
    ids = head + tokens[begin : begin + room] + [tokenizer.eos_token_id]
    characters = {{len(head) + place: pair for place, pair in enumerate(pairs[begin : begin + room])}}
    windows.append(({{"input_ids": torch.tensor([ids])}}, characters, len(ids) - 1))
"""
SEARCH = """\
spans, nowhere = [], []
for inputs, characters, place in windows:
    with torch.no_grad():
        outputs = model(**inputs)
    start, end = outputs.start_logits[0].tolist(), outputs.end_logits[0].tolist()
    nowhere.append(start[place] + end[place])
    for first in characters:
        for last in range(first, min(first + {max_answer_length}, max(characters) + 1)):
            spans.append((start[first] + end[last], characters[first][0], characters[last][1]))
best, begin, stop = max(span for span in spans if context[span[1] : span[2]].strip())
"""
ALWAYS = "print(context[begin:stop].strip())\n"
OR_NONE = 'print("" if min(nowhere) - best > {threshold!r} else context[begin:stop].strip())\n'


def answering_code(settings: dict[str, Any], model_type: str) -> str:
    """Lines that print the answer to one question, or an empty one.

    Args:
        settings: `llmtune` of the model's config.
        model_type: of the model's config.
    """
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if model_type in WITH_TOKEN_TYPES else [])]
    read = LEFT_TO_RIGHT if settings["left_context_only"] else PAIR
    threshold = settings["null_threshold"]
    told = ALWAYS if threshold is None else OR_NONE
    return ASKED + (read + SEARCH + told).format(**settings, names=names, threshold=threshold)
