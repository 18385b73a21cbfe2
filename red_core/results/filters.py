"""Which rows of an export somebody wants: what matches nothing is refused, so that a slip is no empty or whole file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from red_core.errors import SettingsError
from red_core.records import Project
from red_core.store.exports import NONE_NAME, ExportFilter
from red_core.store.final_labels import SOURCES, UNUSED
from red_core.store.labels import list_labels, name_key, names_by_key, path_in_words
from red_core.store.texts import left_out_rows

NEAR = 3
"""How many names like a wrong one are offered."""


def checked(project: Project, wanted: ExportFilter) -> ExportFilter:
    """Return the filter with names as they are stored, also for former names, and with its time in UTC.

    Raises
    ------
    SettingsError
        If a label, group or source does not exist, a confidence is not in [0, 1] or the least is above the most, or
        the time is not in ISO 8601.
    """
    _check_confidence(wanted)
    return replace(
        wanted,
        label=wanted.label if wanted.label is None else _label(project, wanted.label),
        group=wanted.group if wanted.group is None else _group(project, path_in_words(wanted.group)),
        source=wanted.source if wanted.source is None else _source(project, wanted.source),
        decided_since=wanted.decided_since if wanted.decided_since is None else _moment(wanted.decided_since),
    )


def _check_confidence(wanted: ExportFilter) -> None:
    least, most = wanted.least_belief, wanted.most_belief
    for limit in (least, most):
        if limit is not None and not 0 <= limit <= 1:
            raise SettingsError(f"a confidence is from 0 to 1, not {limit}.")
    if least is not None and most is not None and least > most:
        raise SettingsError(f"no confidence is at least {least} and at most {most}. Exchange the two.")


def _label(project: Project, name: str) -> str:
    known = {name_key(NONE_NAME): NONE_NAME} | names_by_key(project)
    return _known("label", name, known, f"`red groups {project.name}` lists the labels.")


def _group(project: Project, words: str) -> tuple[str, ...]:
    path_of = {
        path_in_words(label.path[:depth]): label.path[:depth]
        for label in list_labels(project)
        for depth in range(1, len(label.path) + 1)
    }
    remedy = f"`red groups {project.name}` lists the groups." if path_of else "No label is in a group."
    return path_of[_known("group", words, {name_key(each): each for each in path_of}, remedy)]


def _source(project: Project, source: str) -> str:
    known = list(SOURCES)
    if name_key(source).startswith(f"{UNUSED}: "):
        known += [f"{UNUSED}: {row['reason']}" for row in left_out_rows(project)]
    remedy = f"Name one of: {', '.join(SOURCES)}."
    return _known("source", source, {name_key(each): each for each in known}, remedy)


def _known(what: str, name: str, known: Mapping[str, str], remedy: str) -> str:
    """Return a name as it is stored."""
    key = name_key(name)
    if key in known:
        return known[key]
    near = dict.fromkeys(known[each] for each in difflib.get_close_matches(key, list(known), NEAR))
    offered = f"Did you mean {' or '.join(map(repr, near))}?" if near else remedy
    raise SettingsError(f"there is no {what} {name[:60]!r}. {offered}")


def _moment(text: str) -> str:
    """Return a day or a time as the store writes times."""
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        form = "a day such as 2026-01-31, or a time such as 2026-01-31T12:00"
        raise SettingsError(f"{text[:60]!r} is not {form}.") from None
