"""One row per label with everything that the map, the tables and the panels show."""

from __future__ import annotations

from typing import Any

from red_core.labels.drift import LabelDrift
from red_core.records import Project
from red_core.steps.audit_statistics import Share
from red_core.store.labels import path_in_words
from widgets.shell.reads import audit_target, confused_by_label, drift, label_records, label_table, round_number


def label_rows(project: Project) -> list[dict[str, Any]]:
    """Return a row per label, in the order of the ids: the row of ``views.label_table``, with further keys.

    - ``audited``: accuracy in ``audits`` blind audits, from 0 to 1, or None; ``audits_right``: those that were right.
    - ``judge``: share of ``judged`` verdicts on this label that were right, from 0 to 1, or None.
    - ``confused``: number of texts that are estimated to have this label instead of another or the other way round,
      and corrected verdicts; ``confused_with``: name of the label of the worst pair.
    - ``drift``: *yes* or *no* of the newest comparison, None where there is none or the label has too few texts.
    - ``group``: its groups as people read them, ``Billing > Cards``.
    - ``state``: *new* after the last round, *check* where drift or audits call for it, or ''.
    """
    audited, judged = label_records(project)
    table, drifts = label_table(project), {each.label.id: each for each in compared(project) or ()}
    names, target, trained = {row["id"]: row["name"] for row in table}, audit_target(project), round_number(project) > 0
    confusion, rows = confused_by_label(project), []
    for row in table:
        (texts, worst), change = confusion.get(row["id"], (0.0, None)), drifts.get(row["id"])
        audit = audited.get(row["id"])
        check = (change is not None and change.drifted) or (audit is not None and audit.high < target)
        rows.append(
            row
            | _share("audited", "audits", audit)
            | _share("judge", "judged", judged.get(row["id"]))
            | {
                "audits_right": 0 if audit is None else audit.right,
                "confused": round(texts, 1),
                "confused_with": "" if worst is None else names.get(worst.other(row["id"]), ""),
                "drift": None if change is None or change.q is None else "yes" if change.drifted else "no",
                "group": path_in_words(row["path"]),
                "state": "new" if trained and not row["trained"] else "check" if check else "",
            }
        )
    return rows


def compared(project: Project) -> list[LabelDrift] | None:
    """Return the comparison of imports after the newest round; None if there is none."""
    kept = drift(project)
    return None if kept is None else kept.labels


def _share(name: str, count: str, share: Share | None) -> dict[str, Any]:
    return {name: None if share is None else share.share, count: 0 if share is None else share.of}
