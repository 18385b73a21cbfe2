"""The tables of the label map: the figures of each group, and the pages of a long table."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from red_core.store.views import Confusion
from widgets.labels.group_table import group_rows
from widgets.labels.label_tables import PAGE


def row(number: int, *path: str, **figures: Any) -> dict[str, Any]:
    nothing = {"seeds": 0, "labelled": 0, "belief": None, "audited": None, "audits": 0, "audits_right": 0}
    nothing |= {"drift": None}
    return {"id": number, "name": f"label {number}", "path": path} | nothing | figures


def test_a_group_has_the_figures_of_all_labels_in_it():
    rows = [
        row(1, "Money", seeds=3, labelled=10, belief=0.9, audited=1.0, audits=4, audits_right=4, drift="no"),
        row(2, "Money", "Cards", seeds=2, labelled=30, belief=0.5, audited=0.5, audits=12, audits_right=5, drift="yes"),
        row(3, "Money", "Cards"),
        row(4, "Parcels", labelled=1, belief=0.25),
        row(5, labelled=100, belief=0.1, drift="yes"),
    ]
    pairs = [Confusion((2, 3), 4.0, 0), Confusion((1, 2), 2.0, 1), Confusion((3, 4), 1.0, 0), Confusion((4, 5), 8.0, 0)]
    money, cards, parcels = group_rows(rows, pairs)
    assert [each["group"] for each in (money, cards, parcels)] == ["Money", "Money > Cards", "Parcels"]
    assert [each["labels"] for each in (money, cards, parcels)] == [3, 2, 1]
    assert [each["seeds"] for each in (money, cards, parcels)] == [5, 2, 0]
    assert (money["belief"], money["audited"], money["audits"]) == pytest.approx((0.6, 0.625, 16))
    assert money["audits_right"] == 9
    assert (parcels["belief"], parcels["audited"], parcels["audits"]) == (0.25, None, 0)
    assert [each["drifting"] for each in (money, cards, parcels)] == [1, 1, 0]
    texts = [pair.texts for pair in pairs]
    assert (money["inside"], money["outside"]) == (texts[0] + texts[1], texts[2])
    assert (cards["inside"], cards["outside"]) == (texts[0], texts[1] + texts[2])
    assert (parcels["inside"], parcels["outside"]) == (0.0, texts[2] + texts[3])


SHOW_GROUPS = """
from tests.app.test_group_table import row
from widgets.labels.group_table import show_group_table
show_group_table([
    row(1, "Money", audited=0.9, audits=30, audits_right=24), row(2, "Money", "Cards", audited=1.0, audits=1,
    audits_right=1), row(3, "Parcels"),
], [])
"""


def test_a_group_with_few_audits_has_counts_and_no_share():
    shown = AppTest.from_string(SHOW_GROUPS, default_timeout=60).run().dataframe[0].value
    assert shown["name"].tolist() == ["Money", "\u203a Cards", "Parcels"]
    assert shown["group"].tolist() == ["Money", "Money > Cards", "Parcels"]
    assert shown["label right (audits)"].tolist() == ["25 of 31", "1 of 1", ""]
    assert shown["label accuracy"].notna().tolist() == [True, False, False]


SHOW_TABLE = """
from tests.app.test_group_table import long_table
from widgets.labels.label_tables import show_label_table
show_label_table(long_table())
"""


def long_table() -> list[dict[str, Any]]:
    more = {"subset": 0, "state": "", "group": "", "fed_back": 0, "judge": None, "judged": 0, "confused": 0.0}
    more |= {"confused_with": "", "meaning": ""}
    return [row(n, labelled=n % 7, belief=(n % 11) / 10, **more) for n in range(2 * PAGE + 5)]


def test_a_long_table_comes_in_pages_in_any_order():
    app = AppTest.from_string(SHOW_TABLE, default_timeout=60).run()
    seen = []
    for page in (1, 2, 3):
        app.number_input(key="labels_page").set_value(page).run()
        assert not app.exception
        seen += app.dataframe[0].value["label"].tolist()
    assert sorted(seen) == sorted(each["name"] for each in long_table())
    assert seen == sorted(seen)
    app.selectbox(key="labels_order").set_value("belief").run()
    app.number_input(key="labels_page").set_value(1).run()
    first = app.dataframe[0].value
    assert first["confidence"].is_monotonic_decreasing
    assert first["confidence"].min() >= sorted((each["belief"] for each in long_table()), reverse=True)[PAGE - 1]


def test_the_figures_of_a_label_come_before_its_groups():
    shown = list(AppTest.from_string(SHOW_TABLE, default_timeout=60).run().dataframe[0].value)
    assert shown[:4] == ["label", "examples", "labelled", "confidence"]
