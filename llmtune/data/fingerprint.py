"""The fingerprint of the cells of a data set, however arrow holds them."""

import hashlib
import json
from collections.abc import Iterator

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def fingerprint(rows: datasets.Dataset) -> str:
    """16 hexadecimal digits of the sha256 of all columns, in the order of the rows."""
    digest = hashlib.sha256()
    for name in sorted(rows.column_names):
        digest.update(name.encode())
        for batch in rows.select_columns(name).with_format("arrow").iter(10_000):
            for part in _buffers(batch.column(name).combine_chunks()):
                digest.update(part)
    return digest.hexdigest()[:16]


def _buffers(column: pa.Array) -> Iterator[bytes]:
    """Lengths of the lists at each depth, then their values: equal for equal cells, however arrow holds them."""
    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        yield pc.list_value_length(column).to_numpy(zero_copy_only=False).tobytes()
        column = column.flatten()
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        yield column.to_numpy(zero_copy_only=False).astype(np.float64).tobytes()
    else:
        yield json.dumps(column.to_pylist(), default=str).encode()
