"""What a bad input is here: a command, the files that it finds, and what its one message must say."""

import gzip
import io
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet

MODEL = "--model_type lstm --config_overrides hidden_size=8,embedding_size=8 --tokenizer_vocab_size 300"


class BadInput(NamedTuple):
    """One case.

    Args:
        name: of the case, told apart from all others.
        argv: what is typed after `llmtune`, in a folder that holds the files.
        files: content by name.
        says: texts that the message holds: where, what was found, what was expected, what to do.
    """

    name: str
    argv: str
    files: Mapping[str, bytes]
    says: tuple[str, ...]


def lines(*rows: Any) -> bytes:
    """Rows as jsonl."""
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def parquet(columns: Any, metadata: Mapping[str, str] | None = None) -> bytes:
    """A table as parquet; columns by name, or as a table."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    written = io.BytesIO()
    pa.parquet.write_table(table.replace_schema_metadata(metadata) if metadata else table, written)
    return written.getvalue()


def messages(n: int = 40) -> bytes:
    """A good file of two classes."""
    rows = [
        f"{'win cash' if number % 2 else 'see you'} {number},{'spam' if number % 2 else 'ham'}" for number in range(n)
    ]
    return "\n".join(["text,label", *rows]).encode()


GOOD = messages()
ZIPPED = gzip.compress(GOOD)
