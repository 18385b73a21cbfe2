"""Value labels of Stata and SPSS: written by pandas and pyreadstat, read by an import."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from red_core.data.choices import Choices
from red_core.data.preparing import read_source
from red_core.errors import InputError
from tests.helpers.real_files import LABELLED, NONE, SEEDS

CODES = {1: "card_arrival", 2: "atm"}
NUMBER = {name: number for number, name in CODES.items()}
FRAME = pd.DataFrame({"text": [t for t, _ in LABELLED], "label": [NUMBER[n] for _, n in LABELLED], "wave": [1.0] * 4})
NEEDED = "the extra `spss` is not installed"


def save(path: Path, frame: pd.DataFrame, labels: dict[Any, str], **options: Any) -> Path:
    pyreadstat = pytest.importorskip("pyreadstat", reason=NEEDED)
    pyreadstat.write_sav(frame, str(path), variable_value_labels={"label": labels}, **options)
    return path


def read(path: Path, **choices: Any) -> tuple[dict[str, str], str, list[dict[str, str]]]:
    prepared = read_source(path, role="labelled", choices=Choices(**choices))
    labels = {row.text: row.label for row in prepared.rows if row.label}
    return labels, "\n".join(prepared.notes), [row.extra for row in prepared.rows]


def test_spss_labels_of_values_are_the_labels(tmp_path):
    labels, notes, extra = read(save(tmp_path / "a.sav", FRAME, CODES))
    assert labels == SEEDS
    assert "column 'label': its numbers have value labels, and the labels are used" in notes
    assert extra == [{"wave": "1"}] * 4


def test_spss_compressed_files_are_read(tmp_path):
    assert read(save(tmp_path / "a.zsav", FRAME, CODES, compress=True))[0] == SEEDS


def test_spss_accents_long_texts_and_missing_values(tmp_path):
    long = "Größe " * 300
    frame = pd.concat([FRAME, pd.DataFrame({"text": [long, NONE], "label": [1, None], "wave": [2.5, None]})])
    labels, _, extra = read(save(tmp_path / "a.sav", frame, {1: "Prüfung läuft", 2: "atm"}))
    assert labels[long.strip()] == "Prüfung läuft"
    assert NONE not in labels
    assert extra[4:] == [{"wave": "2.5"}, {}]


def test_spss_a_value_without_a_label_stays_a_number_and_strings_may_have_labels(tmp_path):
    more = pd.concat([FRAME, pd.DataFrame({"text": [NONE], "label": [9], "wave": [1.0]})])
    assert read(save(tmp_path / "a.sav", more, CODES))[0] == SEEDS | {NONE: "9"}
    letters = FRAME.assign(label=["c", "c", "a", "a"])
    assert read(save(tmp_path / "b.sav", letters, {"c": "card_arrival", "a": "atm"}))[0] == SEEDS


def test_spss_a_damaged_file_is_refused_in_one_line(tmp_path):
    content = save(tmp_path / "a.sav", FRAME, CODES).read_bytes()
    (tmp_path / "cut.sav").write_bytes(content[:200])
    with pytest.raises(InputError, match=r"cut\.sav: its SPSS data are damaged .*Save it again, or export CSV"):
        read(tmp_path / "cut.sav")


def test_spss_without_its_extra_is_refused_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyreadstat", None)
    (tmp_path / "a.sav").write_bytes(b"$FL2" + bytes(200))
    with pytest.raises(InputError, match=r"SPSS files need the package pyreadstat\. Install it, or export CSV"):
        read(tmp_path / "a.sav")


def stata(frame: pd.DataFrame, **options: Any) -> bytes:
    out = io.BytesIO()
    frame.to_stata(out, write_index=False, **options)
    return out.getvalue()


@pytest.mark.parametrize("version", [114, 117, 118, 119])
def test_stata_labels_of_values_are_the_labels(version, tmp_path):
    (tmp_path / "a.dta").write_bytes(stata(FRAME, version=version, value_labels={"label": CODES}))
    labels, notes, _ = read(tmp_path / "a.dta")
    assert labels == SEEDS
    assert "its numbers have value labels" in notes


def test_stata_a_value_without_a_label_stays_a_number(tmp_path):
    more = pd.concat([FRAME, pd.DataFrame({"text": [NONE], "label": [9], "wave": [1.0]})])
    (tmp_path / "a.dta").write_bytes(stata(more, version=118, value_labels={"label": CODES}))
    assert read(tmp_path / "a.dta")[0] == SEEDS | {NONE: "9"}
