"""The encoding of a text file: UTF-8, UTF-16 with its mark, or a guess that is said."""

from __future__ import annotations

import codecs
import csv
import io
import re
from contextlib import suppress
from itertools import islice

import charset_normalizer

from red_core.data.tables import limits
from red_core.data.tables.delimited import guess_delimiter
from red_core.data.tables.source import Source

BOMS = {  # that of UTF-32 begins as that of UTF-16 does
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
# Encodings in common use: with all encodings, the detector prefers rare ones on short texts.
ENCODINGS = "cp1252 cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 cp1257 iso8859_2 koi8_r cp932 euc_jp gb18030 big5 cp949"
OLD = ("mac_roman", "cp850")
"""Encodings of old Macs and of DOS: their accents lie where Windows has quotation marks and dashes."""
_LONE = re.compile(rb"(?<=[A-Za-z])[\x80-\xff](?=[A-Za-z])")
"""A byte outside ASCII between two letters: an accented letter in Western European text."""
_MARKS, _MARKS_INSIDE = set(b"\x80\x85\x91\x92\x93\x94\x95\x96\x97\x99"), set(b"\x85\x92\x95\x96\x97")
"""Typographic marks of Windows, and those that stand between letters: the apostrophe of *it's*, and dashes. On old
Macs, where these bytes are letters, others of the first 32 bytes outside ASCII are commoner letters."""
_ACCENTED = set("äöüßÄÖÜéèêëàâáçñíîïóòôõúùûåøæœãÉÀÇÑ")
MULTIBYTE = frozenset(("cp932", "euc_jp", "gb18030", "big5", "cp949"))
"""Encodings in which two bytes of a character may look like UTF-8."""
_UTF8_INSIDE = re.compile(rb"[a-z](?:[\xc2-\xdf]|\xe2\x80)[\x80-\xbf]|(?:[\xc2-\xdf]|\xe2\x80)[\x80-\xbf][a-z]")
"""UTF-8 beside a small letter. In another encoding the first byte is a capital letter, which stands among capitals."""
KANA, HANGUL = re.compile("[\u3041-\u3096]"), re.compile("[\uac00-\ud7a3]")
MOST_CHAOS = 0.1  # in charset-normalizer's measure; above it, the decoded text looks like noise


def decode(source: Source) -> None:
    """Set the encoding of the source; an error names the row with an invalid character."""
    data = source.data
    marked = next((name for mark, name in BOMS.items() if data.startswith(mark)), None)
    source.encoding = encoding = marked or _without_mark(data) or "utf-8"
    if marked is None and encoding != "utf-8":
        source.notes.append(f"encoding: {encoding} (guessed: it has no mark)")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as exc:
        lenient = data.decode(encoding, "replace")
        broken = lenient.count("\ufffd")
        sound = len(lenient) - len(lenient.encode("ascii", "ignore")) - broken
        if encoding != "utf-8" or sound > broken:  # a few bad bytes in what is otherwise UTF-8
            row = _row_after(source, exc.object[: exc.start].decode(encoding, "ignore"))
            wanted = encoding.removesuffix("-sig").upper()
            raise source.error(f"a character is not valid {wanted}", f"Repair it, or save as {wanted}", row) from exc
        text = _guess_encoding(source)
    if "\0" in text:
        row = _row_after(source, text.partition("\0")[0])
        raise source.error("a NUL byte: binary data, or UTF-16 without its mark", "Save it as UTF-8 text", row)


def _without_mark(data: bytes) -> str | None:
    """Return the UTF-16 that leaves out its mark: every second byte of mostly Latin text is 0; None if it is none."""
    start = data[:2000]
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = start[first::2].count(0), start[1 - first :: 2].count(0)
        if len(data) % 2 == 0 and zeros * 3 > len(start) and not others:
            return name
    return None


def _old(sample: bytes) -> str | None:
    """Return the encoding of an old Mac or of DOS if its bytes between letters are accents there and not on Windows."""
    lone = b"".join(_LONE.findall(sample))
    letters, beyond = len(re.findall(rb"[A-Za-z]", sample)), len(re.findall(rb"[\x80-\xff]", sample))
    if not lone or letters < 5 * beyond or sum(byte < 0xA0 for byte in lone) * 2 <= len(lone):
        return None
    if _MARKS_INSIDE.issuperset(lone) and _MARKS.issuperset(byte for byte in sample if 0x80 <= byte < 0xA0):
        return None
    right = {name: sum(character in _ACCENTED for character in lone.decode(name)) for name in OLD}
    best = max(right, key=lambda name: right[name])
    return best if right[best] >= 0.9 * len(lone) else None


def _eastern(data: bytes, sample: bytes) -> str | None:
    """Return the encoding in which the text has many kana, or only Hangul: no other text looks so by accident."""
    for name, script, share in (("cp932", KANA, 0.25), ("euc_jp", KANA, 0.25), ("cp949", HANGUL, 0.95)):
        with suppress(UnicodeDecodeError):
            beyond = re.findall(r"[^\x00-\x7f\u3000-\u303f\uff00-\uffef]", sample.decode(name))
            found = "".join(script.findall("".join(beyond)))
            if name == "cp949" and 2 * _common_syllables(found) < len(found):
                continue
            if len(beyond) >= 4 and len(found) >= share * len(beyond):
                data.decode(name)
                return name
    return None


def _common_syllables(hangul: str) -> int:
    """Return how many syllables are common. Rare ones are what a mark of Windows and the letter behind it look like."""
    pairs = hangul.encode("cp949")
    return sum(first >= 0xA1 <= second for first, second in zip(pairs[::2], pairs[1::2], strict=True))


def _guess_encoding(source: Source) -> str:
    """Return the text in the encoding that charset-normalizer guesses, if it is confident."""
    lines = (line for line in io.BytesIO(source.data) if not line.isascii())
    sample = b"".join(_around(line) for line in islice(lines, 200))
    if (old := _old(sample)) is not None:
        source.encoding = old
        source.notes.append(f"encoding: {old} (guessed: check that accents look right)")
        return source.data.decode(old)
    if (eastern := _eastern(source.data, sample)) is not None:
        source.encoding = eastern
        source.notes.append(f"encoding: {eastern} (guessed: check that accents look right)")
        return source.data.decode(eastern)
    matches = list(charset_normalizer.from_bytes(sample, cp_isolation=ENCODINGS.split()))
    if matches and matches[0].chaos <= MOST_CHAOS:
        best = matches[0]
        tied = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
        # Ties come in alphabetical order; Western European is by far the commonest.
        western = any("cp1252" in match.could_be_from_charset for match in tied)
        if western or len(tied) == 1 or best.coherence > 0:
            source.encoding = "cp1252" if western else best.encoding
            _refuse_mixed(source)
            source.notes.append(f"encoding: {source.encoding} (guessed: check that accents look right)")
            with suppress(UnicodeDecodeError):
                return source.data.decode(source.encoding)
    raise source.error("it is not UTF-8 and its encoding is unclear", "Save it as UTF-8")


def _refuse_mixed(source: Source) -> None:
    """Raise InputError if some lines are UTF-8 and others are not: either guess would garble a part of the texts."""
    if source.encoding in MULTIBYTE:
        return
    before = 0
    for line in io.BytesIO(source.data):
        with suppress(UnicodeDecodeError):
            if _UTF8_INSIDE.search(line) and line.decode():
                row = _row_after(source, source.data[:before].decode(source.encoding, "ignore"))
                raise source.error("this row is UTF-8, and others are not", "Save all rows in one encoding", row)
        before += len(line)


def _around(line: bytes) -> bytes:
    """Return the first bytes outside ASCII of a line with what stands around them, at most 2,000 bytes."""
    first = next(index for index, byte in enumerate(line) if byte > 127)
    start = max(0, first - 200)
    return line[start : start + 2000]


def _row_after(source: Source, before: str) -> int:
    """Return the row number of the character after ``before``: the record in CSV, else the line."""
    before += "x"
    if source.ending in ("json", "jsonl", "ndjson"):
        return len(re.findall(r"\r\n?|\n", before)) + 1
    count = 0
    csv.field_size_limit(limits.MAX_FIELD)
    with suppress(csv.Error):
        for _ in csv.reader(io.StringIO(before, newline=""), delimiter=guess_delimiter(source, before)):
            count += 1
    return max(count, 1)
