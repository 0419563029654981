"""Every message of an error stands in a test: four of its words in a row, as a test's string has them.

A message that no test reads is shipped with the wrong variable, or with braces that nobody filled in. Read are all
raises of llmtune and of the recipes, and the findings of bad rows (`errors.add(…, remedy=…)`).
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
RUN = 4  # words in a row
WORD = re.compile(r"[\w-]*\w")
Words = tuple[str, ...]


class Message(NamedTuple):
    """One text of an error: its place, and its constant parts in words."""

    where: str
    parts: tuple[Words, ...]

    def runs(self) -> set[Words]:
        """All runs of four words; of a message without any, its longest part."""
        runs = {part[start : start + RUN] for part in self.parts for start in range(len(part) - RUN + 1)}
        return runs or {max(self.parts, key=len)}


def words(text: str) -> Words:
    return tuple(WORD.findall(text.lower()))


def messages(path: Path) -> Iterator[Message]:
    """The messages that a file raises."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    caught = {id(node) for handled in ast.walk(tree) if isinstance(handled, ast.Try) for node in caught_raises(handled)}
    for node, function in nodes_in_functions(tree):
        for expression in [] if id(node) in caught else message_expressions(node):
            texts = list(constant_parts(expression, function))
            for parts in texts:
                parts_in_words = tuple(part for part in map(words, parts) if part)
                if parts_in_words:
                    yield Message(f"{path.relative_to(ROOT)}:{node.lineno}", parts_in_words)


def nodes_in_functions(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Each node with the function that it lies in."""

    def visit(node: ast.AST, function: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            yield child, inner
            yield from visit(child, inner)

    yield from visit(tree, tree)


def caught_raises(block: ast.Try) -> list[ast.Raise]:
    """The raises of a `try` whose own handler catches their class: nobody but the handler reads them."""
    names = {ast.unparse(handler.type) for handler in block.handlers if handler.type is not None}
    raises = [node for statement in block.body for node in ast.walk(statement) if isinstance(node, ast.Raise)]
    return [node for node in raises if isinstance(node.exc, ast.Call) and ast.unparse(node.exc.func) in names]


def message_expressions(node: ast.AST) -> list[ast.expr]:
    """What is said by `raise X(message)`, and by `errors.add(row, place, finding, remedy=…)`."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        # An AssertionError says that we are wrong, not the user: no input leads there.
        return [] if ast.unparse(node.exc.func) == "AssertionError" else node.exc.args[:1]
    if isinstance(node, ast.Call) and any(keyword.arg == "remedy" for keyword in node.keywords):
        is_finding = isinstance(node.func, ast.Attribute) and node.func.attr == "add"
        return [node.args[-1], *(keyword.value for keyword in node.keywords)] if is_finding else []
    return []


def constant_parts(expression: ast.expr, function: ast.AST) -> Iterator[tuple[str, ...]]:
    """The constant parts of each text that an expression can be: of either branch of `a if x else b`, too.

    A name stands for what its function assigns to it.
    """
    if isinstance(expression, ast.Constant):
        yield (str(expression.value),)
    elif isinstance(expression, ast.JoinedStr):
        yield tuple(whole_words(expression.values))
        for part in expression.values:  # a text that is put in by `{a if x else b}`
            if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp):
                yield from constant_parts(part.value, function)
    elif isinstance(expression, ast.IfExp):
        yield from constant_parts(expression.body, function)
        yield from constant_parts(expression.orelse, function)
    elif isinstance(expression, ast.BinOp):
        yield from constant_parts(expression.left, function)
        yield from constant_parts(expression.right, function)
    elif isinstance(expression, ast.Name):
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and any(expression.id in names(target) for target in node.targets):
                yield from constant_parts(node.value, ast.Module([], []))


def whole_words(parts: list[ast.expr]) -> Iterator[str]:
    """The constant parts of an f-string, without the halves of words: of `{split}_file is` it is ` is`."""
    for place, part in enumerate(parts):
        if isinstance(part, ast.Constant):
            text = str(part.value)
            text = re.sub(r"^[\w-]+", "", text) if place > 0 else text
            yield re.sub(r"[\w-]+$", "", text) if place < len(parts) - 1 else text


def names(target: ast.expr) -> set[str]:
    return {target.id} if isinstance(target, ast.Name) else set()


def strings(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                yield node.value


@cache
def runs_in_tests() -> set[Words]:
    texts = strings(path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__))
    return set().union(*map(runs_of_text, texts))


def untested(messages: list[Message], tested: set[Words]) -> list[str]:
    """The messages of which no test has four words in a row, where there are some, of those that no other one has."""
    owners = Counter(run for message in messages for run in message.runs())
    own = {message: {run for run in message.runs() if owners[run] == 1} or message.runs() for message in messages}
    return [
        f"{message.where}: {' … '.join(' '.join(part) for part in message.parts)}"
        for message in messages
        if not own[message] & tested
    ]


def runs_of_text(text: str) -> set[Words]:
    """All runs of up to four words of a test's string. A regular expression's `.*` and `\\(` don't join words."""
    literal = re.sub(r"\\[dws][+*]?|\[\^?[^\]]*\][+*]|\.[*+]", "\0", text)
    pieces = [words(re.sub(r"\\(.)", r"\1", piece)) for piece in literal.split("\0")]
    return {
        piece[start : start + length]
        for piece in pieces
        for length in range(1, RUN + 1)
        for start in range(len(piece) - length + 1)
    }


def test_every_message_stands_in_a_test():
    sources = [*sorted((ROOT / "llmtune").rglob("*.py")), *sorted((ROOT / "recipes").glob("*.py"))]
    raised = [message for path in sources for message in messages(path)]

    assert len(raised) > 200
    assert untested(raised, runs_in_tests()) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('raise InputError(f"{a}: no such file; check the path")', ["no such file check the path"]),
        ('raise ValueError("one " "two " + three + " four")', ["one two", "four"]),
        ('raise InputError("this text" if a else f"that text of {b}")', ["this text", "that text of"]),
        ("raise InputError(f\"it {'is here' if a else 'was there'}\")", ["it", "is here", "was there"]),
        ('def f():\n    hint = "do that"\n    raise InputError(hint)', ["do that"]),
        ('errors.add(3, place, f"found {x}, not y", remedy="write y")', ["found … not y", "write y"]),
        ('raise AssertionError("never")', []),
        ('raise InputError(f"--{split}_file is a folder, not {kind}s of it")', ["is a folder not … of it"]),
        ('try:\n    raise ValueError("inner")\nexcept ValueError:\n    raise InputError("outer")', ["outer"]),
    ],
)
def test_the_texts_of_raises_are_collected(source, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "module.py").write_text(source)

    collected = [" … ".join(" ".join(part) for part in message.parts) for message in messages(tmp_path / "module.py")]

    assert collected == expected


@pytest.mark.parametrize(
    ("tests", "is_tested"),
    [
        ("b is no such file; check the path", True),
        (r"no such file; check \(the path\)", True),
        ("no such file", False),  # three words
        ("no such .* file; check .* the path", False),  # a pattern that jumps over words does not join them
    ],
)
def test_four_words_in_a_row_are_a_test_of_a_message(tests, is_tested):
    message = Message("here", (words("no such file; check the path"),))

    assert untested([message], runs_of_text(tests)) == ([] if is_tested else ["here: no such file check the path"])


def test_words_that_two_messages_share_are_no_test_of_either():
    first, second = (Message(name, (words(f"expected one of these; {name} it"),)) for name in ("rename", "delete"))

    assert len(untested([first, second], runs_of_text("expected one of these; rename it"))) == 1
