"""Read and write tables. All cells are read as text, and every error is one line.

The format of a file is told by its content first and by its name second. Values are not interpreted: "NA", "007" and
"1e5" stay the text they are.
"""

from red_core.data.tables.columns import Columns, choose_columns
from red_core.data.tables.reading import Table, read_table
from red_core.data.tables.rows import LeftOut, Row, usable_rows, usable_text
from red_core.data.tables.writing import write_table
from red_core.text import normalise_text, text_id

__all__ = [
    "Columns",
    "LeftOut",
    "Row",
    "Table",
    "choose_columns",
    "normalise_text",
    "read_table",
    "text_id",
    "usable_rows",
    "usable_text",
    "write_table",
]
