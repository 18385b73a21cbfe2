"""Argilla: records of version 2, nested or flat, feedback records of version 1, and its text classification records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from red_core.data.tables.shapes.known import (
    ACCEPTED,
    ANSWER,
    IGNORED,
    UNCONFIRMED,
    Known,
    Record,
    agreed,
    first_text,
    have,
    list_in,
    names_of,
    object_in,
)  # fmt: skip
from red_core.data.tables.source import Hints

CLASSIC = ("annotation", "prediction", "status")
"""Keys of a text classification record of version 1."""
RESPONSES = ".responses"


def recognise(sample: Sequence[Record]) -> Known | None:
    """Return how records of Argilla are read; see the module."""
    if have(sample, "fields") and any("responses" in each or "suggestions" in each for each in sample):
        return _nested(sample)
    flat = [key for record in sample for key in record if key.endswith(RESPONSES)]
    if flat:
        return _flat(sample, flat[0].removesuffix(RESPONSES))
    if have(sample, *CLASSIC):
        return _classic(sample)
    return _feedback(sample)


def _question(values: Sequence[Any]) -> str:
    """Return the first question with an answer or a suggestion."""
    return next((str(name) for value in values for name, each in object_in(value).items() if each), "")


def _counted(response: Any) -> bool:  # noqa: ANN401
    """Return whether a response counts: a draft or a discarded one does not."""
    return not isinstance(response, dict) or response.get("status") in (None, "submitted")


def _discarded(responses: Sequence[Any]) -> bool:
    return any(isinstance(each, dict) and each.get("status") == "discarded" for each in responses)


def _answers(responses: Sequence[Any]) -> list[tuple[str, list[str]]]:
    answers = []
    for each in responses:
        if _counted(each):
            value = each.get("value") if isinstance(each, dict) else each
            answers.append((str(each.get("user_id") or "") if isinstance(each, dict) else "", names_of(value)))
    return answers


def _nested(sample: Sequence[Record]) -> Known:
    question = _question([record.get("responses") for record in sample]) or _question(
        [record.get("suggestions") for record in sample]
    )
    fields = [record["fields"] for record in sample if isinstance(record["fields"], dict)]
    text = first_text(fields, list(dict.fromkeys(key for each in fields for key in each)))

    def read(record: Record) -> Record:
        cells = {
            "id": record.get("id"),
            **{f"fields.{key}": each for key, each in object_in(record.get("fields")).items()},
        }
        cells |= {f"metadata.{key}": each for key, each in object_in(record.get("metadata")).items()}
        responses = list_in(object_in(record.get("responses")).get(question))
        cells |= agreed(_answers(responses))
        if not any(_counted(each) for each in responses) and _discarded(responses):
            cells[ANSWER] = IGNORED
        suggested = object_in(record.get("suggestions")).get(question)
        if isinstance(suggested, dict):
            cells |= {"suggestion": suggested.get("value"), "suggestion.score": suggested.get("score")}
        return cells

    where = f"text from fields.{text}, label from responses.{question}"
    return Known(f"Argilla export: {where}", Hints(f"fields.{text}" if text else None, "label", ANSWER), read)


def _flat(sample: Sequence[Record], question: str) -> Known:
    key = f"{question}{RESPONSES}"
    names = [name for name in dict.fromkeys(n for record in sample for n in record) if "." not in name]
    text = first_text(sample, [name for name in names if name not in ("id", "status", "_server_id")])

    def read(record: Record) -> Record:
        cells = {name: value for name, value in record.items() if not name.startswith(key)}
        values = record.get(key)
        if isinstance(values, str):  # from a CSV file: the cell is read as a list later
            return cells | {"label": values}
        values = list_in(values)
        users = list_in(record.get(f"{key}.users")) + [""] * len(values)
        states = list_in(record.get(f"{key}.status")) + [None] * len(values)
        responses = [
            {"value": value, "user_id": user, "status": state}
            for value, user, state in zip(values, users, states, strict=False)
        ]
        cells |= agreed(_answers(responses))
        if responses and not any(_counted(each) for each in responses) and _discarded(responses):
            cells[ANSWER] = IGNORED
        return cells

    where = "; ".join(part for part in (f"text from {text}" * bool(text), f"label from {key}"))
    return Known(f"Argilla export: {where}", Hints(text, "label", ANSWER), read)


def _classic(sample: Sequence[Record]) -> Known:
    """Return how a text classification record of version 1 is read: it has one annotation and a status."""
    text = first_text(sample, ["text"])
    states = {"Validated": ACCEPTED, "Edited": ACCEPTED, "Discarded": IGNORED}

    def read(record: Record) -> Record:
        cells = {key: value for key, value in record.items() if key not in ("metrics", "explanation", "vectors")}
        inputs = record.get("inputs")
        if cells.get("text") is None and isinstance(inputs, dict):
            cells["text"] = inputs.get("text") or next(
                (each for each in inputs.values() if isinstance(each, str)), None
            )
        cells.pop("inputs", None)
        guesses = record.get("prediction")
        if isinstance(guesses, list) and guesses and isinstance(guesses[0], dict):
            cells |= {"prediction": guesses[0].get("label"), "prediction.score": guesses[0].get("score")}
        has_label = bool(names_of(record.get("annotation")))
        status = states.get(str(record.get("status")), UNCONFIRMED if has_label else "")
        return cells | {ANSWER: status or None}

    where = f"text from {text or 'inputs'}, label from annotation, whether it is right from status"
    return Known(
        f"Argilla export (version 1): {where}",
        Hints("text", "annotation", ANSWER), read,
    )  # fmt: skip


def _feedback(sample: Sequence[Record]) -> Known | None:
    """Return how feedback records of version 1 are read: under a question's name are its responses."""

    def is_responses(value: Any) -> bool:  # noqa: ANN401
        return (
            isinstance(value, list)
            and bool(value)
            and all(isinstance(each, dict) and {"value", "status"} <= each.keys() for each in value)
        )

    question = next((key for record in sample for key, value in record.items() if is_responses(value)), None)
    if question is None:
        return None
    names = [name for name in dict.fromkeys(n for record in sample for n in record) if name != question]
    text = first_text(sample, [name for name in names if not name.startswith((question, "external_id", "metadata"))])

    def read(record: Record) -> Record:
        responses = list_in(record.get(question))
        cells = {key: value for key, value in record.items() if key != question} | agreed(_answers(responses))
        if not any(_counted(each) for each in responses) and _discarded(responses):
            cells[ANSWER] = IGNORED
        return cells

    where = f"text from {text}, label from {question}"
    return Known(f"Argilla feedback records: {where}", Hints(text, "label", ANSWER), read)
