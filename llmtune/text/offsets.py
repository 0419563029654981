"""Where a text stands in another: offsets in characters, checked against the text that is given beside them."""

import re

# What tools count instead of characters (Unicode code points): name, codec, bytes of a unit.
UNITS = (("UTF-16 code units, as JavaScript and Java do", "utf-16-le", 2), ("bytes of UTF-8", "utf-8", 1))


def find_offset(text: str, start: int, own: str) -> str:
    """Where `own` stands, in words: by the unit that makes the offset right, else by the place nearest to `start`.

    >>> find_offset("😀😀 Ada came", 5, "Ada")
    'the offsets count UTF-16 code units, as JavaScript and Java do: in characters it begins at 3'
    >>> find_offset("Ada came", 4, "Ada"), find_offset("Ada came", 4, "Bob")
    ('it begins at 0', 'it is nowhere in the text')
    >>> find_offset("Ada came", 0, "Ada")
    'it ends at 3: the end is the first character after it'
    """
    if start >= 0 and own and text.startswith(own, start):
        return f"it ends at {start + len(own)}: the end is the first character after it"
    for unit, codec, size in UNITS:
        whole, wanted = text.encode(codec, "surrogatepass"), own.encode(codec, "surrogatepass")
        if start >= 0 and wanted and whole[start * size :].startswith(wanted):
            place = len(whole[: start * size].decode(codec, "ignore"))
            if place != start and text.startswith(own, place):
                return f"the offsets count {unit}: in characters it begins at {place}"
    places = [match.start() for match in re.finditer(f"(?={re.escape(own)})", text)]
    nearest = min(places, key=lambda place: abs(place - start), default=None)
    return "it is nowhere in the text" if nearest is None else f"it begins at {nearest}"


def fitting_unit(text: str, end: int) -> str:
    """The unit in which a text is long enough for an offset beyond its characters; "" where there is none.

    >>> fitting_unit("😀 Ada", 6), fitting_unit("Ada", 6)
    ('UTF-16 code units, as JavaScript and Java do', '')
    """
    fitting = (unit for unit, codec, size in UNITS if end * size <= len(text.encode(codec, "surrogatepass")))
    return next(fitting, "")
