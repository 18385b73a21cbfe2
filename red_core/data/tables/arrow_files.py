"""Read Parquet and Arrow files, with the names that their metadata give to numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from red_core.data.tables import limits
from red_core.data.tables.cells import as_text
from red_core.data.tables.delimited import Content
from red_core.data.tables.json_files import as_columns, of_known_tool
from red_core.data.tables.source import Source

BROKEN_PARQUET = (pa.ArrowException, ValueError, OSError, LookupError, TypeError, ArithmeticError)
NESTED_AT_ONCE = 200
"""Rows of nested columns that are built before their size is looked at."""
CLASS_LABEL = "ClassLabel"


def read_parquet(source: Source) -> Content:
    """Read a Parquet file in batches. Its size is checked before rows are built: 425 bytes can stand for 50 GB."""
    try:
        buffer = pa.BufferReader(source.data)
        schema = pq.read_schema(buffer)
        leaves = pq.ParquetFile(pa.BufferReader(source.data)).schema
        texts = [
            leaves.column(index).path for index in range(len(leaves))
            if leaves.column(index).physical_type == "BYTE_ARRAY"
        ]  # fmt: skip
        file = pq.ParquetFile(pa.BufferReader(source.data), read_dictionary=texts)
        if file.metadata.num_rows > limits.MAX_ROWS:
            raise _too_large(source)
        source.check_names(list(schema.names))
        nested = any(pa.types.is_nested(field.type) for field in schema)
        batches = file.iter_batches(batch_size=NESTED_AT_ONCE if nested else limits.EVERY)
        return _read(source, schema, batches, file.metadata.num_rows)
    except BROKEN_PARQUET as exc:
        raise source.error(f"its Parquet is damaged ({str(exc)[:120]})", "Write or download it again") from exc
    except MemoryError as exc:
        raise _too_large(source) from exc


def read_arrow(source: Source) -> Content:
    """Read an Arrow or Feather file, as ``datasets`` keeps on disk."""
    try:
        is_file = source.data.startswith(b"ARROW1")
        stream = pa.BufferReader(source.data)
        reader = pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)
        source.check_names(list(reader.schema.names))
        batches = (reader.get_batch(index) for index in range(reader.num_record_batches)) if is_file else iter(reader)
        pieces = (batch.slice(start, limits.EVERY) for batch in batches for start in range(0, len(batch), limits.EVERY))
        return _read(source, reader.schema, pieces, 0)
    except BROKEN_PARQUET as exc:
        raise source.error(f"its Arrow data are damaged ({str(exc)[:120]})", "Write or download it again") from exc


def _too_large(source: Source) -> Exception:
    return source.error(f"more than {limits.MAX_ROWS:,} rows or {limits.MAX_BYTES:,} bytes", "Split the file")


def _read(source: Source, schema: pa.Schema, batches: Iterator[pa.RecordBatch], total: int) -> Content:
    """Return the columns of all batches, or what the export of a known tool says."""
    names = list(schema.names)
    given = _class_names(schema)
    columns: list[list[Any]] = [[] for _ in names]
    size = 0
    for batch in batches:
        size += sum(_size(column) for column in batch.columns)
        if size > limits.MAX_BYTES or len(columns[0]) > limits.MAX_ROWS:
            raise _too_large(source)
        for name, column, values in zip(names, columns, batch.columns, strict=True):
            column.extend(_named(values.to_pylist(), given.get(name)))
        if source.progress is not None and total:
            source.progress(len(columns[0]), total)
    for name in given:
        source.notes.append(f"column '{name}': its numbers have names in the file's metadata, and the names are used")
    rows = list(range(1, len(columns[0]) + 1)) if columns else []
    nested = bool(rows) and any(pa.types.is_nested(field.type) for field in schema)
    if nested:
        records = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
        names, texts, rows = as_columns(source, list(zip(rows, records, strict=True)))
    else:
        names, columns, rows = of_known_tool(source, names, columns, rows)
        texts = [list(map(as_text, column)) for column in columns]
    of_bytes = _bytes_in(schema) if rows else set()
    pictures = [name for name, cells in zip(names, texts, strict=True) if name in of_bytes and not any(cells)]
    source.notes.extend(f"column '{name}' is left out: it holds bytes and no text" for name in pictures)
    kept = [(name, cells) for name, cells in zip(names, texts, strict=True) if name not in pictures]
    return [name for name, _ in kept], [cells for _, cells in kept], rows


def _bytes_in(schema: pa.Schema) -> set[str]:
    """Return the names of the columns of bytes, as a table has them: ``image.bytes`` is inside ``image``."""
    found, fields = set[str](), [(field.name, field.type) for field in schema]
    while fields:
        name, kind = fields.pop()
        if pa.types.is_struct(kind):
            fields += [(f"{name}.{field.name}", field.type) for field in kind]
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            found.add(name)
    return found


def _size(values: pa.Array) -> int:
    """Return how many bytes the values are, unpacked: a dictionary counts each value as often as it occurs."""
    if isinstance(values, pa.DictionaryArray):
        if not (
            pa.types.is_string(values.dictionary.type)
            or pa.types.is_binary(values.dictionary.type)
            or pa.types.is_large_string(values.dictionary.type)
        ):
            return int(values.nbytes)
        lengths = np.asarray(pc.fill_null(pc.binary_length(values.dictionary), 0))
        indices = np.asarray(pc.fill_null(values.indices, 0)).astype(np.int64)
        return int(lengths[indices].sum()) if len(lengths) and len(indices) else 0
    if isinstance(values, pa.StructArray):
        return sum(_size(child) for child in values.flatten())
    if isinstance(values, pa.MapArray):
        first, last = values.offsets[0].as_py(), values.offsets[-1].as_py()
        return sum(_size(each.slice(first, last - first)) for each in (values.keys, values.items))
    if isinstance(values, pa.ListArray | pa.LargeListArray):
        return _size(values.flatten())
    return int(values.nbytes)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return column -> names of its numbers, as ``datasets`` keeps them in the metadata of a file."""
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = info["info"]["features"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    found: dict[str, list[str]] = {}
    for name, feature in features.items() if isinstance(features, dict) else ():
        names = _names_in(feature)
        if names is not None and name in schema.names:
            found[name] = names
    return found


def _names_in(feature: Any) -> list[str] | None:  # noqa: ANN401
    """Return the names of a ClassLabel, or of a list of ClassLabels."""
    if isinstance(feature, list) and feature:
        feature = feature[0]
    if isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        feature = feature["feature"]
    if not isinstance(feature, dict) or feature.get("_type") != CLASS_LABEL:
        return None
    names = feature.get("names")
    return names if isinstance(names, list) and all(isinstance(each, str) for each in names) else None


def _named(values: Sequence[Any], names: list[str] | None) -> Sequence[Any]:
    """Return names instead of numbers; -1 is how ``datasets`` writes that there is no label."""
    if names is None:
        return values
    return [_name(value, names) for value in values]


def _name(value: Any, names: list[str]) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_name(each, names) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else None if value == -1 else value
    return value
