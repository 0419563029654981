r"""What a word is, in any script.

A combining mark (a vowel sign of Hindi or Thai, a point of Hebrew or Arabic, U+0301 of a decomposed é) belongs to the
letter before it, and a joiner (U+200C of Persian, U+200D of Bengali and of emoji) lies inside a word. Python's `\w`
takes them for punctuation and cuts words there. Scripts written without spaces (Chinese, Japanese, Thai, Lao, Khmer,
Burmese) give one word a character, a character being a grapheme cluster: a letter with its marks (Unicode UAX 29).
"""

import unicodedata

import regex

# Of the character classes of `regex`: scripts written without spaces, with the marks of length that are of no script.
UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\uff70\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Javanese}\p{Balinese}"
    r"\p{Tai_Tham}\p{New_Tai_Lue}"
)
LETTER = r"[\p{L}\p{M}\p{N}\p{Pc}]"
JOINER = r"(?!\u200b)\p{Cf}"  # format characters but the zero-width space, which ends a word
CLUSTER = r"(?!\s|\p{Cf})\X\p{M}*"  # any visible character with its marks: an emoji of several code points is one


def character(letters: str) -> str:
    """The pattern of one letter of these, with its marks: also those of Burmese that UAX 29 counts by themselves."""
    return rf"(?=[{letters}])\X\p{{M}}*"


def run(excluded: str = "") -> str:
    """The pattern of a run of letters, marks, digits and underscores, without letters of the class `excluded`."""
    letter = rf"(?![{excluded}]){LETTER}" if excluded else LETTER
    # The joiner at the end shapes the last letter (Bengali khanda ta of older texts).
    return rf"{letter}(?:(?:{JOINER})*{letter})*\u200d?"


_CHARACTER = regex.compile(character(UNSPACED))
_WORD = regex.compile(rf"{character(UNSPACED)}|{run(UNSPACED)}")
_WORD_OR_SIGN = regex.compile(rf"{character(UNSPACED)}|{run(UNSPACED)}|{CLUSTER}")
_INVISIBLE = regex.compile(r"\p{Cf}")


def split_at_spaces(text: str) -> list[str]:
    """Words between spaces, with their punctuation; of unspaced scripts each character.

    >>> split_at_spaces("Call now!"), split_at_spaces("東京 tower"), split_at_spaces("ก็ได้")
    (['Call', 'now!'], ['東', '京', 'tower'], ['ก็', 'ไ', 'ด้'])
    """
    return text.split() if text.isascii() else _CHARACTER.sub(r" \g<0> ", text).split()


def fold_words(text: str) -> list[str]:
    """Words without punctuation, alike up to case, Unicode form (NFKC), joiners; of unspaced scripts each character.

    >>> fold_words("Été 今天 नमस्ते!"), fold_words("می\u200cخواهم")
    (['été', '今', '天', 'नमस्ते'], ['میخواهم'])
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    return [_INVISIBLE.sub("", word) for word in _WORD.findall(folded) if unicodedata.category(word[0])[0] != "M"]


def words_and_signs(text: str) -> list[str]:
    """Words as `fold_words` cuts them, but every other visible character too, and case as it is.

    >>> words_and_signs("Win £5 👍🏽, ok?")
    ['Win', '£', '5', '👍🏽', ',', 'ok', '?']
    """
    return list(_WORD_OR_SIGN.findall(unicodedata.normalize("NFC", text)))


def is_character(word: str) -> bool | None:
    """Whether a word of an unspaced script or of Korean is one character; None of a word of another script."""
    if word.isascii() or not regex.fullmatch(rf"[{UNSPACED}\p{{Hangul}}\p{{M}}]+", word):
        return None
    return regex.fullmatch(r"\X\p{M}*", word) is not None
