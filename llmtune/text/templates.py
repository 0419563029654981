"""The fields of a prompt template: `{source}` is one, and `{{` a brace of the text."""

from string import Formatter


def template_fields(template: str) -> list[str]:
    """The names in braces, in their order.

    Raises:
        ValueError: a brace that does not close, or a field with a format of its own.

    >>> template_fields("Text: {text} {{so}}")
    ['text']
    """
    names = []
    for _, name, layout, conversion in Formatter().parse(template):
        if name is None:
            continue
        if layout or conversion:
            raise ValueError(f"the field {name!r} has a format ({conversion or layout}), and a field is its name alone")
        names.append(name)
    return names
