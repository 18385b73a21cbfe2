from __future__ import annotations

import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from red_core.data.tables import normalise_text, text_id
from red_core.records import Project
from red_core.store.database import create_project
from red_core.store.exports import PROVENANCE
from red_core.store.labels import label_set_version, list_labels
from red_core.store.texts import (
    SourceFile,
    SourceRow,
    add_sources,
    contents,
    facts,
    find_source,
    has_text,
    labelled_texts,
    left_out_rows,
    name_key,
    pool,
    remember,
    remembered,
    seeds,
    truths,
)
from tests.helpers.project_facts import export_rows

AWKWARD = [
    *(
        "café",
        "cafe\u0301",
        "Å\u0301",
        "\u212b",
        "ﬁne",
        "👩🏽‍🚀 lost her 🧳",
        "שלום, where is my order?",
        "مرحبا",
        "İstanbul",
    ),
    *("straße", "STRASSE", "𝕬𝖇𝖈", "a\x00b", "\u202eabc\u202c", "\u200e", "한글", "\u1112\u1161\u11ab", "= 1 + 1"),
    "'; DROP TABLE text;--",
]
ANY = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
TEXT = ANY.map(normalise_text).filter(bool)
NAME = ANY.map(normalise_text).filter(bool)
EXTRA = st.dictionaries(ANY, ANY, max_size=3)
FEW_TEXTS, FEW_LABELS = [f"text {n}" for n in range(4)], ["A", "B", "C"]


@contextmanager
def fresh() -> Iterator[Project]:
    with tempfile.TemporaryDirectory() as folder:
        yield create_project(Path(folder), "p")


def add(project: Project, rows: Sequence[SourceRow], sha256: str = "0" * 64, role: str = "labelled") -> int:
    source = SourceFile(f"{sha256[:3]}.csv", sha256, role, "text", "label", ())
    return add_sources(project, [(source, rows)], "tester")[0][0]


def row(number: int, text: str, label: str | None = None, **more: object) -> SourceRow:
    return SourceRow(number, text_id(text), normalise_text(text), label, **more)


# Round trips


@given(st.lists(TEXT, min_size=1, max_size=6))
def test_any_text_comes_back_as_it_was(texts):
    with fresh() as project:
        add(project, [row(number, text) for number, text in enumerate(texts)])
        assert contents(project, pool(project)) == list(dict.fromkeys(texts))


@given(NAME, NAME)
def test_any_label_comes_back_as_it_was_first_spelled(one, other):
    with fresh() as project:
        add(project, [row(2, "a", one), row(3, "b", other)])
        wanted = [one] if name_key(one) == name_key(other) else [one, other]
        assert [label.name for label in list_labels(project)] == wanted


@given(st.lists(EXTRA, min_size=1, max_size=4))
def test_any_other_column_comes_back_as_it_was(extras):
    with fresh() as project:
        add(project, [row(number, f"text {number}", extra=extra) for number, extra in enumerate(extras)])
        assert [
            {name: exported[f"source.{name}" if name in PROVENANCE else name] for name in extra}
            for exported, extra in zip(export_rows(project, 0), extras, strict=True)
        ] == extras


@given(ANY, ANY)
def test_a_fact_of_the_project_comes_back_and_stays_as_it_was_first(value, later):
    with fresh() as project:
        remember(project, "key", value)
        remember(project, "key", later)
        assert remembered(project, "key") == value


def test_contents_come_in_the_order_asked_for_and_as_often():
    with fresh() as project:
        add(project, [row(number, f"text {number}") for number in range(1200)])
        wanted = np.random.default_rng(0).permutation(np.r_[pool(project), pool(project)])
        assert contents(project, wanted) == [f"text {int(i) - 1}" for i in wanted]


# Folding


@given(st.lists(st.tuples(st.sampled_from(AWKWARD), st.sampled_from(["NFC", "NFD"]), st.integers(1, 3)), min_size=1))
def test_duplicates_are_folded_whatever_their_form_and_spaces(spellings):
    rows = [
        row(number, " " * spaces + unicodedata.normalize(form, text) + "\n" * spaces)
        for number, (text, form, spaces) in enumerate(spellings)
    ]
    distinct = {normalise_text(text) for text, _, _ in spellings}
    with fresh() as project:
        add(project, rows)
        counted = facts(project)
        assert (counted["rows"], counted["texts"], counted["folded"]) == (
            len(rows), len(distinct), len(rows) - len(distinct),
        )  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(FEW_TEXTS), EXTRA), min_size=1, max_size=10))
def test_a_folded_row_keeps_its_number_its_columns_and_its_text(rows):
    with fresh() as project:
        add(project, [row(7 * number, text, extra=extra) for number, (text, extra) in enumerate(rows)])
        exported = list(export_rows(project, 0))
        assert [(each["row"], each["text"]) for each in exported] == [(7 * n, t) for n, (t, _) in enumerate(rows)]


def test_a_row_is_folded_into_a_text_of_an_earlier_file():
    with fresh() as project:
        add(project, [row(2, "a", "A")])
        add(project, [row(2, "a"), row(3, "b")], sha256="1" * 64, role="pool")
        assert facts(project)["texts"] == 2
        assert [(each["file"], each["row"], each["label"]) for each in export_rows(project, 0)] == [
            ("000.csv", 2, "A"), ("111.csv", 2, "A"), ("111.csv", 3, None),
        ]  # fmt: skip


# Seeds, pool and contradictions, against a model of dictionaries

LABELLED = st.lists(
    st.tuples(st.sampled_from(FEW_TEXTS), st.none() | st.sampled_from(["A", "a", "B", "C"])), min_size=1, max_size=12
)


def keys_of(rows: Sequence[tuple[str, str | None]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for text, label in rows:
        found[text] |= set() if label is None else {name_key(label)}
    return found


@given(LABELLED)
@example([("text 0", "A"), ("text 0", "B"), ("text 0", None)])
def test_a_seed_is_a_text_under_exactly_one_label(rows):
    with fresh() as project:
        add(project, [row(number, *each) for number, each in enumerate(rows)])
        texts, labels_of = seeds(project)
        keys = {label.id: name_key(label.name) for label in list_labels(project)}
        found = zip(contents(project, texts), (keys[label] for label in labels_of.tolist()), strict=True)
        assert sorted(found) == sorted(
            (text, next(iter(keys))) for text, keys in keys_of(rows).items() if len(keys) == 1
        )


@given(LABELLED)
def test_every_label_of_a_text_is_told(rows):
    with fresh() as project:
        add(project, [row(number, *each) for number, each in enumerate(rows)])
        found = {(identity, key) for identity, key, _ in labelled_texts(project)}
        assert found == {(text_id(text), key) for text, keys in keys_of(rows).items() for key in keys}


@given(LABELLED)
def test_the_pool_is_what_was_never_labelled(rows):
    with fresh() as project:
        add(project, [row(number, *each) for number, each in enumerate(rows)])
        wanted = {text for text, keys in keys_of(rows).items() if not keys}
        assert set(contents(project, pool(project))) == wanted


@given(LABELLED)
def test_a_text_under_two_labels_is_listed_with_every_row_and_is_neither_seed_nor_pool(rows):
    with fresh() as project:
        add(project, [row(number, *each) for number, each in enumerate(rows)])
        torn = {text for text, keys in keys_of(rows).items() if len(keys) > 1}
        listed = left_out_rows(project)
        assert [each["row"] for each in listed] == [number for number, (text, _) in enumerate(rows) if text in torn]
        used = set(contents(project, np.r_[seeds(project)[0], pool(project)]))
        assert not used & torn
        assert facts(project)["left_out"] == len(listed)


def test_a_contradiction_names_both_labels():
    with fresh() as project:
        add(project, [row(2, "a", "Second"), row(3, "a", "First")])
        assert {each["reason"] for each in left_out_rows(project)} == {"under two labels: First, Second"}


def test_a_contradiction_between_two_files_lists_the_rows_of_both():
    with fresh() as project:
        add(project, [row(2, "a", "A")])
        add(project, [row(9, "a", "B")], sha256="1" * 64)
        assert [(each["file"], each["row"]) for each in left_out_rows(project)] == [("000.csv", 2), ("111.csv", 9)]


def test_a_row_left_out_is_listed_with_its_reason_and_keeps_its_columns():
    with fresh() as project:
        add(project, [SourceRow(5, None, "", left_out="empty text", extra={"more": "kept"})])
        assert left_out_rows(project) == [
            {"source": 1, "file": "000.csv", "row": 5, "reason": "empty text", "content": ""}
        ]
        assert next(iter(export_rows(project, 0)))["more"] == "kept"


# Labels


@given(NAME, st.sampled_from(["NFC", "NFD"]), st.sampled_from([str, str.casefold]), st.booleans())
@example("ΐ", "NFC", str.upper, False)
def test_a_label_is_unique_after_nfc_whitespace_and_case(name, form, cased, spaced):
    other = unicodedata.normalize(form, cased(name))
    with fresh() as project:
        add(project, [row(2, "a", name), row(3, "b", f"  {other}\t" if spaced else other)])
        assert len(list_labels(project)) == 1


@given(NAME)
def test_the_key_of_a_key_is_itself(name):
    assert name_key(name_key(name)) == name_key(name)


def test_labels_that_differ_in_more_than_case_are_two():
    with fresh() as project:
        add(project, [row(2, "a", "reset password"), row(3, "b", "reset-password"), row(4, "c", "réset password")])
        assert len(list_labels(project)) == 3


def test_new_labels_are_one_edit_of_the_label_set_and_known_ones_are_none():
    with fresh() as project:
        assert label_set_version(project) == 0
        add(project, [row(2, "a", "A"), row(3, "b", "B")])
        assert label_set_version(project) == 1
        add(project, [row(2, "c", "a")], sha256="1" * 64)
        assert label_set_version(project) == 1


# Sources


def test_a_source_is_found_by_its_bytes_and_its_role():
    with fresh() as project:
        made = add(project, [row(2, "a", "A")])
        assert find_source(project, "0" * 64, "labelled") == made
        assert find_source(project, "0" * 64, "pool") is None
        assert find_source(project, "1" * 64, "labelled") is None


def test_files_are_stored_together_or_not_at_all():
    with fresh() as project:
        good = (SourceFile("good.csv", "1" * 64, "labelled", "text", "label", ()), [row(2, "a", "A")])
        twice = (SourceFile("bad.csv", "2" * 64, "pool", "text", None, ()), [row(2, "b"), row(2, "c")])
        with pytest.raises(Exception, match="UNIQUE"):
            add_sources(project, [good, twice], "tester")
        assert set(facts(project).values()) == {0}


def test_the_truth_of_a_text_under_two_truths_is_unknown():
    with fresh() as project:
        add(
            project,
            [row(2, "a", truth="A"), row(3, "a", truth="A"), row(4, "b", truth="A"), row(5, "b", truth="B")],
            role="pool",
        )
        assert list(truths(project).values()) == ["A"]


def test_a_text_is_there_by_its_row_id():
    with fresh() as project:
        add(project, [row(2, "a")])
        assert has_text(project, 1)
        assert not has_text(project, 2)
