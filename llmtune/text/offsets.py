"""Where a text stands in another: offsets in characters, checked against the text that is given beside them."""

import re
import unicodedata

# What tools count instead of characters (Unicode code points): name, codec, bytes of a unit.
UNITS = (("UTF-16 code units, as JavaScript and Java do", "utf-16-le", 2), ("bytes of UTF-8", "utf-8", 1))


def find_offset(text: str, start: int, own: str) -> str:
    r"""Where `own` stands, in words: by the unit that makes the offset right, else by the place nearest to `start`.

    >>> find_offset("😀😀 Ada came", 5, "Ada")
    'the offsets count UTF-16 code units, as JavaScript and Java do: in characters it begins at 3'
    >>> find_offset("Ada came", 4, "Ada"), find_offset("Ada came", 4, "Bob")
    ('it begins at 0', 'it is nowhere in the text')
    >>> find_offset("Ada came", 0, "Ada")
    'it ends at 3: the end is the first character after it'
    >>> find_offset("Zoe\u0308 came", 0, "Zo\xeb").partition(":")[0]
    'in Unicode form NFD it begins at 0'
    """
    if start >= 0 and own and text.startswith(own, start):
        return f"it ends at {start + len(own)}: the end is the first character after it"
    for unit, codec, size in UNITS:
        whole, wanted = text.encode(codec, "surrogatepass"), own.encode(codec, "surrogatepass")
        if start >= 0 and wanted and whole[start * size :].startswith(wanted):
            place = len(whole[: start * size].decode(codec, "ignore"))
            if place != start and text.startswith(own, place):
                return f"the offsets count {unit}: in characters it begins at {place}"
    nearest = _nearest_place(text, start, own)
    if nearest is not None:
        return f"it begins at {nearest}"
    return _other_form(text, start, own) or "it is nowhere in the text"


def _other_form(text: str, start: int, own: str) -> str:
    """Where `own` stands in another Unicode form, in words; "" where it doesn't."""
    remedy = "normalize both texts alike (unicodedata.normalize), and count the offsets afterwards"
    for form in ("NFC", "NFD"):
        nearest = _nearest_place(text, start, unicodedata.normalize(form, own))
        if nearest is not None:
            return f"in Unicode form {form} it begins at {nearest}: {remedy}"
    if unicodedata.normalize("NFKC", own) in unicodedata.normalize("NFKC", text):
        return f"it is in the text in another Unicode form: {remedy}"
    return ""


def _nearest_place(text: str, start: int, own: str) -> int | None:
    places = [match.start() for match in re.finditer(f"(?={re.escape(own)})", text)]
    return min(places, key=lambda place: abs(place - start), default=None)


def fitting_unit(text: str, end: int) -> str:
    """The unit in which a text is long enough for an offset beyond its characters; "" where there is none.

    >>> fitting_unit("😀 Ada", 6), fitting_unit("Ada", 6)
    ('UTF-16 code units, as JavaScript and Java do', '')
    """
    fitting = (unit for unit, codec, size in UNITS if end * size <= len(text.encode(codec, "surrogatepass")))
    return next(fitting, "")
