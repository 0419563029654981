"""What a predictions table says of itself, in the metadata of its parquet schema: one schema, read and checked here."""

from collections.abc import Sequence
from typing import Annotated, Any

import pyarrow as pa
from pydantic import AfterValidator, Field

from llmtune.errors import InputError
from llmtune.predictions.kinds import KINDS, Kind, kind_named
from llmtune.text.contracts import Contract, each_once, parse_contract

METADATA_KEY = b"llmtune"
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class TableSettings(Contract):
    """Of what a task keeps, what reports and comparisons read."""

    deciding_metric: str | None = None
    thresholds: list[Share] | None = None
    null_threshold: float | None = None
    ordinal: bool | None = None
    decided_by: str | None = None
    language: str | None = None
    target_size: Annotated[float, Field(ge=0)] | None = None
    interval_level: Share | None = None
    nonfinite_rows: Count = 0
    nonfinite_words: Count = 0
    column_notes: list[str] = []
    benchmark_notes: list[str] = []


class Metadata(Contract):
    """All of it is missing of a table made elsewhere."""

    kind: str = ""
    split: str = "test"
    label_names: Annotated[list[str], AfterValidator(each_once)] = []
    positive_label: str | None = None
    threshold: Share = 0.5
    settings: TableSettings = TableSettings()


def read_metadata(
    table: pa.Table, where: str, *, kind: str | None, label_names: Sequence[str]
) -> tuple[Kind, dict[str, Any]]:
    """The kind of a table, and what it says of itself, by the names of `Metadata`; empty of one made elsewhere.

    Args:
        table: any columns.
        where: begins the messages.
        kind: as --kind gave it.
        label_names: as --labels gave them.

    Raises:
        InputError: the metadata are not those of a table of ours, name no kind, or contradict what was given.
    """
    written = (table.schema.metadata or {}).get(METADATA_KEY, b"{}")
    remedy = "restore the table, or write its columns without metadata and give --kind"
    own = parse_contract(written, Metadata, f"{where}: its metadata {METADATA_KEY.decode()}", remedy)
    given = kind and kind_named(kind, where)
    if given is None and "kind" not in own:
        raise InputError(f"{where}: the table does not say its kind; give --kind, one of {', '.join(KINDS)}")
    if given is not None and own.get("kind", given) != given:
        raise InputError(f"{where}: the table is of kind {own['kind']}, not {given}; leave --kind out")
    if label_names and own.get("label_names") and list(label_names) != own["label_names"]:
        raise InputError(
            f"--labels {','.join(label_names)}: {where} names its own labels, {', '.join(own['label_names'])}; leave "
            "--labels out"
        )
    return kind_named(given or own["kind"], where), own
