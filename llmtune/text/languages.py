"""The language of a text as sacrebleu's tokenizers need it: from a code, or from the script."""

from collections.abc import Sequence

THREE_LETTERS = {
    "zho": "zh",
    "cmn": "zh",
    "yue": "zh",
    "jpn": "ja",
    "kor": "ko",
    "tha": "th",
    "khm": "km",
    "lao": "lo",
    "mya": "my",
}
SCRIPTS = (  # first and last character, language
    ("\u3040", "\u30ff", "ja"),
    ("\uac00", "\ud7a3", "ko"),
    ("\u4e00", "\u9fff", "zh"),
    ("\u0e00", "\u0e7f", "th"),
    ("\u1780", "\u17ff", "km"),
    ("\u0e80", "\u0eff", "lo"),
    ("\u1000", "\u109f", "my"),
)


def base_language(code: str) -> str:
    """Two letters: de_DE → de, zho_Hans → zh."""
    first = code.lower().replace("_", "-").split("-")[0]
    return THREE_LETTERS.get(first, first)


def language_of_script(texts: Sequence[str]) -> str:
    """The language if the script tells one that must not be split at spaces or is Korean, else "".

    Japanese needs a tenth of kana among its letters, the others a third of their script, in the first 1,000 texts.
    """
    letters = [letter for text in texts[:1000] for letter in text if letter.isalpha()]
    for first, last, language in SCRIPTS:
        share = 0.1 if language == "ja" else 1 / 3
        if letters and sum(first <= letter <= last for letter in letters) > share * len(letters):
            return language
    return ""


def is_latin(texts: Sequence[str]) -> bool:
    """Whether most letters of the first 1,000 texts are Latin, with accents or without; so of texts without letters.

    >>> is_latin(["été"]), is_latin(["नमस्ते ok"]), is_latin(["7"])
    (True, False, True)
    """
    letters = [letter for text in texts[:1000] for letter in text if letter.isalpha()]
    # Basic Latin to Latin Extended-B, and Latin Extended Additional (Vietnamese).
    latin = sum(letter < "\u0250" or "\u1e00" <= letter <= "\u1eff" for letter in letters)
    return 2 * latin >= len(letters)
