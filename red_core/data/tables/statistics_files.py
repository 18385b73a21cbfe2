"""Read files of Stata and SPSS: the labels of their values are used instead of the numbers."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path

import pandas as pd

from red_core.data.tables import limits
from red_core.data.tables.cells import Cell, as_text
from red_core.data.tables.delimited import Content
from red_core.data.tables.source import Source

BROKEN = (ValueError, LookupError, TypeError, OSError, EOFError, ArithmeticError, AttributeError, NotImplementedError)


def read_stata(source: Source) -> Content:
    """Read a .dta file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = pd.read_stata(io.BytesIO(source.data), convert_categoricals=True)
    except BROKEN as exc:
        raise source.error(f"its Stata data are damaged ({str(exc)[:120]})", "Save it again, or export CSV") from exc
    return _columns(source, frame)


def read_spss(source: Source) -> Content:
    """Read a .sav file, with the package pyreadstat."""
    try:
        import pyreadstat  # noqa: PLC0415  an extra
    except ModuleNotFoundError as exc:
        raise source.error("SPSS files need the package pyreadstat", "Install it, or export CSV from SPSS") from exc
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.sav"
        path.write_bytes(source.data)
        try:
            frame, _ = pyreadstat.read_sav(str(path), apply_value_formats=True)
        except (*BROKEN, pyreadstat.ReadstatError) as exc:
            raise source.error(f"its SPSS data are damaged ({str(exc)[:120]})", "Save it again, or export CSV") from exc
    return _columns(source, frame)


def _columns(source: Source, frame: pd.DataFrame) -> Content:
    if len(frame) > limits.MAX_ROWS:
        raise source.error(f"more than {limits.MAX_ROWS:,} rows", "Split the file")
    names = [str(name) for name in frame.columns]
    source.check_names(names)
    for name in names:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            source.notes.append(f"column '{name}': its numbers have value labels, and the labels are used")
    columns: list[list[Cell]] = [[as_text(cell) or None for cell in frame[name].astype(object)] for name in names]
    return names, columns, list(range(1, len(frame) + 1))
