"""Parquet that ``datasets.load_dataset`` reads with the names of the labels: a ClassLabel in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from red_core.data.tables.writing import as_arrow, whole_file
from red_core.results.formats.format import Export

NO_LABEL = -1
"""How ``datasets`` writes that there is no label."""


def write_class_labels(path: Path, export: Export) -> int:
    """Write all columns; ``label`` is the number of the label, and the metadata have the names."""
    rows = list(export.rows)
    number_of = {name: number for number, name in enumerate(export.labels)}
    arrays: dict[str, Any] = {}
    for name in export.columns:
        if name == "label":
            arrays[name] = pa.array([number_of.get(row.get("label") or "", NO_LABEL) for row in rows], pa.int64())
        else:
            arrays[name] = as_arrow([row.get(name) for row in rows])
    features: dict[str, Any] = {name: _feature(array.type) for name, array in arrays.items()}
    features["label"] = {"names": list(export.labels), "_type": "ClassLabel"}
    made = pa.table(arrays).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    with whole_file(path) as out:
        pq.write_table(made, out)
    return len(rows)


def _feature(kind: pa.DataType) -> dict[str, str]:
    names = {pa.float64(): "float64", pa.int64(): "int64", pa.bool_(): "bool"}
    return {"dtype": names.get(kind, "string"), "_type": "Value"}
