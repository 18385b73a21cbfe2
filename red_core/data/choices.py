"""What a person may choose when a file is imported."""

from __future__ import annotations

from dataclasses import dataclass

from red_core.data.tables.rows import Several


@dataclass(frozen=True)
class Choices:
    """What a person chose for a file. None: the program guesses, and says what it guessed.

    Attributes
    ----------
    text_column, label_column : str or None
    answer_column : str or None
        The column that says what each label is worth; ``none`` if no column does.
    sheet : str or None
        The sheet of a workbook.
    header_row : int or None
        The row with the column names, as a person counts; 0 if there is none.
    several : {"leave out", "first", "each"}
        What happens to a row with several labels; see :data:`red_core.data.tables.rows.Several`.
    mail : bool or None
        Whether texts are cleaned of markup, quoted replies and signatures. None: if the texts have some.
    """

    text_column: str | None = None
    label_column: str | None = None
    answer_column: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    several: Several = "leave out"
    mail: bool | None = None


GUESS = Choices()
