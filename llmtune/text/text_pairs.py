"""Two texts a row (premise and hypothesis, question and duplicate) as one, for what reads one text a row."""

from collections.abc import Sequence

from llmtune.text.words import words_and_signs

SEPARATOR = "\x1f"  # ASCII's unit separator: space to whoever folds texts, so that duplicates are told on the pair


def join_pairs(texts: Sequence[str], pairs: Sequence[str] | None) -> list[str]:
    r"""Each text with its pair, or the texts alone.

    >>> join_pairs(["a man sleeps"], ["he is awake"])
    ['a man sleeps\x1fhe is awake']
    """
    if pairs is None:
        return list(texts)
    return [f"{text}{SEPARATOR}{pair}" for text, pair in zip(texts, pairs, strict=True)]


def words_by_half(text: str) -> list[str]:
    r"""Words and signs of a text; of a joined pair each marked with what holds it: 1, 2, or = for both halves.

    >>> words_by_half("a man sleeps"), words_by_half("a man sleeps\x1fa man sits")
    (['a', 'man', 'sleeps'], ['=a', '=man', '1sleeps', '=a', '=man', '2sits'])
    """
    first, separator, second = text.partition(SEPARATOR)
    if not separator:
        return words_and_signs(text)
    halves = words_and_signs(first), words_and_signs(second)
    shared = set(halves[0]) & set(halves[1])
    return [
        ("=" if word in shared else str(number)) + word
        for number, words in enumerate(halves, start=1)
        for word in words
    ]
