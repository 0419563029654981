"""Where a text stands in another: offsets in characters, checked against the text that is given beside them."""

# What tools count instead of characters (Unicode code points): name, codec, bytes of a unit.
UNITS = (("UTF-16 code units, as JavaScript and Java do", "utf-16-le", 2), ("bytes of UTF-8", "utf-8", 1))


def find_offset(text: str, start: int, own: str) -> str:
    """Where `own` stands, if not at `start`, in words: by the unit that makes the offset right, else by its place.

    >>> find_offset("😀😀 Ada came", 5, "Ada")
    'the offsets count UTF-16 code units, as JavaScript and Java do: in characters it begins at 3'
    >>> find_offset("Ada came", 4, "Ada"), find_offset("Ada came", 4, "Bob")
    ('it begins at 0', 'it is nowhere in the text')
    """
    for unit, codec, size in UNITS:
        whole, wanted = text.encode(codec, "surrogatepass"), own.encode(codec, "surrogatepass")
        if start >= 0 and wanted and whole[start * size :].startswith(wanted):
            place = len(whole[: start * size].decode(codec, "ignore"))
            if place != start and text.startswith(own, place):
                return f"the offsets count {unit}: in characters it begins at {place}"
    place = text.find(own)
    return f"it begins at {place}" if place >= 0 else "it is nowhere in the text"
