"""A search ignores case in every script, in the queues and on the page Results."""

from __future__ import annotations

import unicodedata

import pytest

from red_core.records import Project
from red_core.store.database import connection
from red_core.store.desk import Filters, queue
from red_core.store.final_labels import results_page
from red_core.store.searching import found_in, sought
from red_core.text import folded
from tests.helpers.small_projects import reviewed_round, seed_rows, small_project, text_ids

TEXTS = (
    "Über die Rechnung", "eine Frage ÜBER Kosten", "Straße gesperrt", "HAUPTSTRASSE gesperrt", "Москва сегодня",
    "ΟΔΟΣ κλειστή", "plain text", "100% of_it",
)  # fmt: skip
SEARCHES = [
    "über", "ÜBER", unicodedata.normalize("NFD", "über"), "strasse", "STRASSE", "straße", "москва", "МОСКВА", "οδος",
    "PLAIN", "%", "_", "'", " rechnung ", "nowhere", "ß",
]  # fmt: skip


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    workspace = tmp_path_factory.mktemp("search") / "workspace"
    project = small_project(workspace, seeds=seed_rows(), pool=[(text, "refund") for text in TEXTS])
    reviewed_round(project, {text_ids(project)[text]: (1, 0.4) for text in TEXTS})
    return project


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_finds_what_python_finds_without_case(search: str, searched: Project) -> None:
    wanted = {text for text in TEXTS if folded(search.strip()) in folded(text)}
    rows, total = results_page(searched, 1, search=search)
    assert {row["text"] for row in rows if row["text"] in TEXTS} == wanted
    assert total == len(rows)
    text_of = {id_: text for text, id_ in text_ids(searched).items()}
    found = queue(searched, 1, "random", Filters(search=search))
    assert {text_of[text] for text, _ in found} == wanted


@pytest.mark.parametrize(("search", "quick"), [("Card", True), ("100%", True), ("Karte für", False), ("Pass", False)])
def test_a_search_of_ascii_letters_stays_in_sqlite(search: str, quick: bool, project: Project) -> None:
    calls: list[str] = []
    with connection(project) as db:
        db.conn.create_function("holds", 2, lambda text, _wanted: calls.append(text))
        db.execute(f"SELECT count(*) FROM text WHERE {found_in('content')}", sought(search)).fetchone()
    assert len(calls) == (0 if quick else 56)
