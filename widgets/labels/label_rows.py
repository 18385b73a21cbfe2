"""All that is known of each label, as the rows that the map, the tables and the panels show."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import streamlit as st

from red_core.labels.drift import LabelDrift
from red_core.records import Project
from red_core.steps.audit_statistics import Share
from red_core.store import views
from red_core.store.views import Confusion
from widgets.shell.reads import audit_target, confused, label_records, label_table, round_number


def label_rows(project: Project) -> list[dict[str, Any]]:
    """Return a row per label, in the order of the ids: those of ``views.label_table``, and what is known besides.

    ``audited`` and ``judge`` are shares or None, ``audits`` and ``judged`` what they are of; ``confused`` is how many
    texts are expected to be mistaken for others or from them, ``confused_with`` the name of the worst of those;
    ``drift`` is the adjusted p value of the newest comparison, where one was made; ``state`` is *new*, *look* or ''.
    """
    audited, judged = label_records(project)
    by_label: dict[int, list[Confusion]] = defaultdict(list)
    for one in confused(project):
        for label in one.labels:
            by_label[label].append(one)
    every, drifted = label_table(project), {one.label.id: one for one in compared(project) or ()}
    names, target, trained = {row["id"]: row["name"] for row in every}, audit_target(project), round_number(project) > 0
    rows = []
    for row in every:
        pairs, drift, audit = by_label[row["id"]], drifted.get(row["id"]), audited.get(row["id"])
        look = (drift is not None and drift.drifted) or (audit is not None and audit.high < target)
        rows.append(
            row
            | _share("audited", "audits", audit)
            | _share("judge", "judged", judged.get(row["id"]))
            | {
                "confused": round(sum(one.texts for one in pairs), 1),
                "confused_with": names.get(pairs[0].other(row["id"]), "") if pairs else "",
                "drift": None if drift is None else drift.q,
                "state": "new" if trained and not row["trained"] else "look" if look else "",
            }
        )
    return rows


def compared(project: Project) -> list[LabelDrift] | None:
    """Return what the newest comparison of imports found, None where none was made since anything changed."""
    key, found = st.session_state.get("drift", (None, None))
    return found if key == (project.folder.as_posix(), views.version(project)) else None


def _share(name: str, count: str, found: Share | None) -> dict[str, Any]:
    return {name: None if found is None else found.share, count: 0 if found is None else found.of}
