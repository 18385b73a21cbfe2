"""A model folder that was damaged or made to do harm gets one line, and nothing of it is used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load, save

from red_core.cli import main
from red_core.errors import EmbeddingError, InputError
from red_core.takeaway import RedClassifier
from red_core.takeaway.compact import rounded
from red_core.takeaway.folder import CARD, CONFIG, SUMS, WEIGHTS, read_folder, write_folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def sign(folder: Path) -> None:
    """Write the checksums that fit, as somebody would who changes a file on purpose."""
    names = (CONFIG, WEIGHTS)
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines))


def tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        arrays = dict(load((folder / WEIGHTS).read_bytes()))
        change(arrays)
        (folder / WEIGHTS).write_bytes(save(arrays))

    return apply


def config(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        value = json.loads((folder / CONFIG).read_text())
        change(value)
        (folder / CONFIG).write_text(json.dumps(value))

    return apply


def not_a_number(arrays: dict[str, np.ndarray]) -> None:
    arrays["label_weights"] = arrays["label_weights"].copy()
    arrays["label_weights"][1, 2] = np.nan


def raw(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def numbered(name: str) -> Callable[[Path], None]:
    """Name the labels by numbers, but the first one so."""

    def change(contents: dict) -> None:
        contents["label_type"] = "int"
        for number, label in enumerate(contents["labels"]):
            label["name"] = str(number) if number else name

    return config(change)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a missing array": (tensors(lambda a: a.pop("label_bias")), "label_bias is missing"),
    "an unknown array": (tensors(lambda a: a.update(more=np.zeros(3))), "unknown array 'more'"),
    "another shape": (tensors(lambda a: a.update(label_bias=np.zeros(9, np.float32))), r"label_bias is float32 \(9,\)"),
    "another type": (tensors(lambda a: a.update(label_bias=np.zeros(4))), "label_bias is float64"),
    "not a number": (tensors(not_a_number), "not finite"),
    "infinite": (tensors(lambda a: a.update(label_bias=np.full(4, np.inf, np.float32))), "not finite"),
    "no neighbours": (tensors(lambda a: a.update(neighbours=a["neighbours"][:0])), "neighbours is empty"),
    "a column outside": (tensors(lambda a: a.update(lexical_seen=a["lexical_seen"] + 65_536)), "out of range"),
    "columns in disorder": (
        tensors(lambda a: a.update(lexical_seen=np.ascontiguousarray(a["lexical_seen"][::-1]))), "out of range",
    ),
    "a column without weight": (
        tensors(lambda a: a.update(lexical_idf=np.zeros_like(a["lexical_idf"]))), "out of range",
    ),
    "a cut file": (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-9]), "cannot be used"),
    "a header without end": (raw(WEIGHTS, struct.pack("<Q", 2**63)), "cannot be used"),
    "an empty file": (raw(WEIGHTS, b""), "cannot be used"),
    "a pickle": (raw(WEIGHTS, b"\x80\x04cos\nsystem\n(S'touch owned'\ntR."), "cannot be used"),
    "no JSON": (raw(CONFIG, b"{"), "Invalid JSON"),
    "deep JSON": (raw(CONFIG, b"[" * 100_000), "Invalid JSON"),
    "JSON that is no object": (raw(CONFIG, b"[]"), "config.json"),
    "another format": (config(lambda c: c.update(format="red-classifier/9")), "format"),
    "a field too many": (config(lambda c: c.update(hook="os.system")), "hook"),
    "a column without label": (config(lambda c: c["of_column"].__setitem__(0, 99)), "of_column"),
    "a label without column": (config(lambda c: c["labels"].append({"name": "more"})), "no column for a label"),
    "a column twice": (config(lambda c: c.update(of_column=[0, 0, 1, 2])), "no column for a label"),
    "no label left": (config(lambda c: c.update(of_column=[None] * 4)), "of_column"),
    "two labels of one name": (config(lambda c: c["labels"][0].update(name=c["labels"][1]["name"])), "same name"),
    "a temperature of 0": (config(lambda c: c.update(beta=0.0)), "beta"),
    "a share of 2": (config(lambda c: c.update(none_shares=[0.05, 2.0])), "none_shares"),
    "a label that is no number": (config(lambda c: c.update(label_type="int")), "no whole number"),
    **{
        f"a label {name!r} as a number": (numbered(name), "is no whole number of 64 bits")
        for name in ("--5", "-", "-0", "01", "٣", "9" * 19, "1_0", "+1", " 1")
    },
    "the number of no label": (numbered("-1"), "the class of no label"),
    "the name of no label": (config(lambda c: c["labels"][0].update(name="none of these")), "the class of no label"),
    "a null character in a label": (config(lambda c: c["labels"][0].update(name="a\0")), "null character"),
    **{
        f"{state!r} as random state": (config(lambda c, s=state: c["settings"].update(random_state=s)), "random_state")
        for state in ("x", [1], None, True, -1, 0.5)
    },
    "a label of a megabyte": (config(lambda c: c["labels"][0].update(name="x" * 10**6)), "labels.0.name"),
    "more dimensions": (config(lambda c: c["encoder"].update(dimensions=25)), "cannot be used"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "says"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_folder_is_refused_in_one_line(change, says, copy):
    change(copy)
    sign(copy)
    with pytest.raises(InputError, match=says) as refusal:
        read_folder(copy)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_changed_byte_is_found(name, copy):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: it is not the file that SHA256SUMS lists"):
        read_folder(copy)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, SUMS])
@pytest.mark.parametrize("put", ["nothing", "a folder", "a pipe"])
def test_what_is_no_file_is_not_read(put, name, copy):
    (copy / name).unlink()
    if put != "nothing":
        (Path.mkdir if put == "a folder" else os.mkfifo)(copy / name)
    with pytest.raises(InputError, match=name):
        read_folder(copy)


@pytest.mark.parametrize("lines", ["", "x", f"{'0' * 64}  ../../etc/passwd\n", f"{'0' * 64}  {CONFIG}\n" * 2])
def test_checksums_name_the_two_files_and_no_others(lines, copy):
    (copy / SUMS).write_text(lines)
    with pytest.raises(InputError, match="does not list the two files"):
        read_folder(copy)


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "a/b/c", "file://x", ""])
def test_a_folder_cannot_choose_where_its_embedding_model_comes_from(name, copy):
    config(lambda c: c["encoder"].update(name=name))(copy)
    sign(copy)
    with pytest.raises(EmbeddingError, match="encoder="):
        RedClassifier.from_folder(copy)


def test_an_embedding_model_of_another_length_is_refused_when_it_is_loaded(copy):
    def widen(contents: dict) -> None:
        contents["encoder"]["dimensions"] += 1

    def wider(arrays: dict[str, np.ndarray]) -> None:
        for name, rows in arrays.items():
            if name == "neighbours":
                arrays[name] = np.hstack([rows, rows[:, :1]])
            if name == "label_weights":
                arrays[name] = np.hstack([rows, rows[:, :2]])

    config(widen)(copy)
    tensors(wider)(copy)
    sign(copy)
    read_folder(copy)
    with pytest.raises(EmbeddingError, match="has other weights"):
        RedClassifier.from_folder(copy)


def test_another_embedding_model_is_refused(folder):
    with pytest.raises(EmbeddingError, match="has other weights"):
        RedClassifier.from_folder(folder, encoder="another")


def test_serving_a_folder_that_is_none_prints_one_line(tmp_path):
    done = CliRunner().invoke(main, ["serve-model", str(tmp_path / "nowhere\0")])
    assert done.exit_code == 1
    done = CliRunner().invoke(main, ["serve-model", str(tmp_path)])
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "SHA256SUMS: it cannot be read (No such file or directory)" in done.output


def test_a_folder_is_complete_or_absent(folder, tmp_path, monkeypatch):
    model, contents = read_folder(folder)

    def full(_self: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_folder(tmp_path / "out", model, contents, "")
    assert list(tmp_path.iterdir()) == []


def test_the_current_folder_can_be_written_and_stays_the_same_folder(folder, tmp_path, monkeypatch):
    model, contents = read_folder(folder)
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    write_folder(Path(), model, contents, "half a character: \ud800")
    assert tmp_path.stat().st_ino == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([CARD, CONFIG, SUMS, WEIGHTS])
    assert read_folder(tmp_path)[1] == contents
    with pytest.raises(InputError, match="not an empty folder"):
        write_folder(Path(), model, contents, "")


@pytest.mark.parametrize("path", ["a\0b", "a\ud800b", "/proc/nowhere/x", "x" * 300])
def test_a_path_that_cannot_be_written_is_refused_in_one_line(path, folder):
    model, contents = read_folder(folder)
    with pytest.raises(InputError, match="Name another folder"):
        write_folder(Path(path), model, contents, "")


def test_what_is_written_is_read_again_to_the_bit(folder, tmp_path):
    model, contents = read_folder(folder)
    write_folder(tmp_path / "again", model, contents, "card")
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_rounding_moves_a_row_by_less_than_a_hundredth():
    rows = np.random.default_rng(0).standard_normal((50, 300)).astype(np.float32)
    rows[3] = 0
    kept = rounded(rows).rows
    assert not kept[3].any()
    moved = np.linalg.norm(kept - rows, axis=1) / np.maximum(np.linalg.norm(rows, axis=1), 1e-9)
    assert moved.max() < 0.01
    assert np.array_equal(rounded(kept).values, rounded(rows).values)
