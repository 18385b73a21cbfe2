"""Files as fourteen tools and more write them, each with what an import makes of it.

Every file holds at most a dozen rows of a bank's support desk. The structure is that of the tool; docs/files.md lists
the same files.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

CARD, CARD_TOO = "My card has not come yet", "Where is my new card"
ATM, ATM_TOO = "The machine kept my card", "The cash machine gave too little"
NONE, NONE_TOO = "Nobody labelled this", "Nor this one"
LABELLED = ((CARD, "card_arrival"), (CARD_TOO, "card_arrival"), (ATM, "atm"), (ATM_TOO, "atm"))
SEEDS = dict(LABELLED)
"""The labels that most files give."""


@dataclass(frozen=True)
class RealFile:
    """A file, how it is imported, and what comes of it.

    Attributes
    ----------
    tool : str
    file : str
        Its name.
    content : bytes
    says : str
        A part of the notes; '' if there is nothing to say but the guessed columns.
    seeds : dict of text to label
    counts : (int, int, int, int)
        Rows, used, folded, left out.
    rejected : dict of text to label
    reasons : tuple of str
        Parts of the reasons of the rows left out, in the order of the file.
    role : {"labelled", "pool"}
    choices : dict
        Of :class:`red_core.data.choices.Choices`.
    """

    tool: str
    file: str
    content: Callable[[], bytes] | bytes
    says: str = ""
    seeds: dict[str, str] = field(default_factory=lambda: dict(SEEDS))
    counts: tuple[int, int, int, int] = (4, 4, 0, 0)
    rejected: dict[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    role: str = "labelled"
    choices: dict[str, Any] = field(default_factory=dict)

    def bytes(self) -> bytes:
        """Return the content."""
        return self.content if isinstance(self.content, bytes) else self.content()


def lines(*records: object) -> bytes:
    """Return JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def array(*records: object) -> bytes:
    """Return a JSON array."""
    return json.dumps(list(records)).encode()


def table(*rows: Sequence[object], separator: str = ",") -> bytes:
    """Return a CSV file."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode()


def parquet(metadata: dict[str, Any] | None = None, **columns: Any) -> bytes:
    """Return a Parquet file, with what ``datasets`` writes into its metadata."""
    made = pa.table(columns)
    if metadata is not None:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": metadata}})})
    out = io.BytesIO()
    pq.write_table(made, out)
    return out.getvalue()


def book(sheets: dict[str, Sequence[Sequence[object]]], change: Callable[[Any], None] | None = None) -> bytes:
    """Return a workbook; ``change`` may merge or format its cells."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    if change is not None:
        change(made)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def texts_and(label: Callable[[str, str], dict[str, Any]], *more: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a record for each labelled text, and further ones."""
    return [label(text, name) for text, name in LABELLED] + list(more)


# Label Studio


def task(number: int, text: str, *annotations: tuple[str, Sequence[str]], **more: Any) -> dict[str, Any]:
    made = [
        {
            "id": 10 * number + place,
            "completed_by": {"id": place, "email": by},
            "result": [
                {"value": {"choices": list(labels)}, "from_name": "intent", "to_name": "text", "type": "choices"}
            ],
            "was_cancelled": False,
        }
        for place, (by, labels) in enumerate(annotations)
    ]
    return {"id": number, "annotations": made, "data": {"text": text}, "meta": {}, "predictions": []} | more


ANN, BOB = "ann@example.com", "bob@example.com"
TASKS = [task(number, text, (ANN, [label])) for number, (text, label) in enumerate(LABELLED)]
DISAGREE = task(8, "Two people read this", (ANN, ["atm"]), (BOB, ["card_arrival"]))
AGREE = task(9, "Two people agree on this", (ANN, ["atm"]), (BOB, ["atm"]))
SKIPPED = task(7, "Nobody wanted this", (ANN, ["atm"]))
SKIPPED["annotations"][0]["was_cancelled"] = True
TWO_CHOICES = task(6, "Both at once", (ANN, ["atm", "card_arrival"]))


def minimal(number: int, text: str, label: Any) -> dict[str, Any]:
    more = {"annotator": 1, "annotation_id": number + 50, "created_at": "2024-05-01T10:00:00Z"}
    return {"text": text, "id": number, "intent": label} | more | {"updated_at": "2024-05-01T10:01:00Z", "lead_time": 4}


MINIMAL = [minimal(number, text, label) for number, (text, label) in enumerate(LABELLED)]


def by_alphabet(records: Sequence[dict[str, Any]], separator: str) -> bytes:
    names = sorted(records[0])
    return table(names, *([record[name] for name in names] for record in records), separator=separator)


def predicted(text: str, label: str) -> dict[str, Any]:
    result = [{"value": {"choices": [label]}, "from_name": "intent", "to_name": "text", "type": "choices"}]
    return {"id": 5, "data": {"text": text}, "annotations": [], "predictions": [{"result": result, "score": 0.9}]}


def with_mood(made: dict[str, Any]) -> dict[str, Any]:
    """Return a task with a second control."""
    mood = {"value": {"choices": ["angry"]}, "from_name": "mood", "to_name": "text", "type": "choices"}
    (annotation,) = made["annotations"]
    return made | {"annotations": [annotation | {"result": [*annotation["result"], mood]}]}


LABEL_STUDIO = [
    RealFile(
        "Label Studio",
        "two controls.json",
        array(*map(with_mood, TASKS)),
        "label from annotations[0].intent; not read, because a text has one label: mood",
    ),
    RealFile(
        "Label Studio",
        "full.json",
        array(*TASKS),
        "Label Studio export: text from data.text, label from annotations[0].intent",
    ),
    RealFile(
        "Label Studio",
        "two annotators.json",
        array(*TASKS, DISAGREE, AGREE, SKIPPED),
        "1 has annotators who disagree; 1 was skipped",
        SEEDS | {"Two people agree on this": "atm"},
        (7, 5, 0, 2),
        reasons=("annotators disagree: atm, card_arrival", "skipped or discarded"),
    ),
    RealFile(
        "Label Studio",
        "several choices.json",
        array(*TASKS, TWO_CHOICES),
        "Label Studio export",
        SEEDS,
        (5, 4, 0, 1),
        reasons=("several labels: atm, card_arrival",),
    ),
    RealFile(
        "Label Studio",
        "predictions.json",
        array(*TASKS, predicted(NONE, "atm")),
        "Label Studio export",
        SEEDS,
        (5, 5, 0, 0),
    ),
    RealFile(
        "Label Studio",
        "one task.json",
        json.dumps(TASKS[0]).encode(),
        "Label Studio export",
        {CARD: "card_arrival"},
        (1, 1, 0, 0),
    ),
    RealFile("Label Studio", "tasks.jsonl", lines(*TASKS), "Label Studio export"),
    RealFile(
        "Label Studio",
        "min.json",
        array(*MINIMAL),
        "Label Studio export, one row per annotation: text from text; label from intent",
    ),
    RealFile(
        "Label Studio",
        "min several.json",
        array(*MINIMAL, minimal(5, NONE, {"choices": ["atm", "card_arrival"]})),
        "label from intent",
        SEEDS,
        (5, 4, 0, 1),
        reasons=("several labels: atm, card_arrival",),
    ),
    RealFile("Label Studio", "export.csv", by_alphabet(MINIMAL, ","), "label from intent"),
    RealFile("Label Studio", "export.tsv", by_alphabet(MINIMAL, "\t"), "label from intent"),
]

# Prodigy

TEACH = [{"text": text, "label": label, "_view_id": "classification", "answer": "accept"} for text, label in LABELLED]
REJECT = {"text": "My card has not come yet today", "label": "atm", "answer": "reject", "_input_hash": 1}
IGNORE = {"text": "hm", "label": "atm", "answer": "ignore"}


def choice(text: str, accept: Sequence[Any], answer: str = "accept", ids: bool = False) -> dict[str, Any]:
    names = ["card_arrival", "atm"]
    options = [{"id": number if ids else name, "text": name} for number, name in enumerate(names)]
    return {"text": text, "options": options, "accept": list(accept), "answer": answer, "_view_id": "choice"}


PRODIGY = [
    RealFile(
        "Prodigy",
        "teach.jsonl",
        lines(*TEACH, REJECT, IGNORE),
        "label from label, whether it is right from answer; 1 was skipped",
        SEEDS,
        (6, 5, 0, 1),
        {REJECT["text"]: "atm"},
        ("skipped or discarded (answer)",),
    ),
    RealFile(
        "Prodigy",
        "accepted and rejected.jsonl",
        lines(*TEACH, TEACH[3] | {"answer": "reject"}),
        "Prodigy export",
        dict(LABELLED[:3]),
        (5, 3, 0, 2),
        reasons=("accepted and rejected as atm",) * 2,
    ),
    RealFile(
        "Prodigy", "choice.jsonl", lines(*(choice(text, [label]) for text, label in LABELLED)), "label from accept"
    ),
    RealFile(
        "Prodigy",
        "choice by number.jsonl",
        lines(*(choice(text, [0 if label == "card_arrival" else 1], ids=True) for text, label in LABELLED)),
        "label from accept",
    ),
    RealFile(
        "Prodigy",
        "choice refused.jsonl",
        lines(*(choice(text, [label]) for text, label in LABELLED), choice("bad", [], "reject"), choice(NONE, [])),
        "1 was skipped",
        SEEDS,
        (6, 5, 0, 1),
        reasons=("skipped or discarded",),
    ),
    RealFile(
        "Prodigy",
        "answers.csv",
        table(["text", "label", "answer"], *([t, n, "accept"] for t, n in LABELLED), ["no", "atm", "reject"]),
        "Prodigy export",
        SEEDS,
        (5, 5, 0, 0),
        {"no": "atm"},
    ),
]

# doccano

DOCCANO = [
    RealFile(
        "doccano",
        "all.jsonl",
        lines(
            *texts_and(lambda t, n: {"id": len(t), "text": t, "label": [n]}),
            {"id": 9, "text": NONE, "label": []},
            {"id": 10, "text": NONE_TOO, "label": []},
        ),
        "doccano export: text from text, label from label",
        SEEDS,
        (6, 6, 0, 0),
    ),
    RealFile(
        "doccano",
        "comments.jsonl",
        lines(*texts_and(lambda t, n: {"id": 1, "data": t, "label": [n], "Comments": []})),
        "text from data",
    ),
    RealFile(
        "doccano",
        "two labels.json",
        array(
            *texts_and(lambda t, n: {"id": 1, "text": t, "label": [n]}),
            {"id": 2, "text": NONE, "label": ["atm", "card_arrival"]},
        ),
        "doccano export",
        SEEDS,
        (5, 4, 0, 1),
        reasons=("several labels: atm, card_arrival",),
    ),
    RealFile(
        "doccano",
        "all.csv",
        table(
            ["id", "data", "label"], *([1, t, n] for t, n in LABELLED), [5, NONE, "atm#card_arrival"], [6, NONE_TOO, ""]
        ),
        "",
        SEEDS,
        (6, 5, 0, 1),
        reasons=("several labels: atm, card_arrival",),
        choices={"text_column": "data"},
    ),
    RealFile(
        "doccano",
        "confirmed.csv",
        table(
            ["id", "text", "label", "is_confirmed"],
            *([1, t, n, "True"] for t, n in LABELLED),
            [5, NONE, "atm", "False"],
        ),
        "'is_confirmed' says whether each label is right",
        SEEDS,
        (5, 5, 0, 0),
    ),
    RealFile(
        "doccano",
        "fasttext.txt",
        "".join(f"__label__{n} {t}\n" for t, n in LABELLED).encode(),
        "fastText file",
    ),
    RealFile(
        "doccano",
        "spans.jsonl",
        lines(
            *texts_and(lambda t, n: {"id": 1, "text": t, "label": n}), {"id": 2, "text": NONE, "label": [[0, 6, "WHO"]]}
        ),
        "",
        SEEDS,
        (5, 4, 0, 1),
        reasons=("the labels mark parts of the text",),
    ),
]

# Argilla


def nested(text: str, *responses: dict[str, Any], **suggestion: Any) -> dict[str, Any]:
    return {
        "id": text[:5],
        "fields": {"text": text},
        "metadata": {"channel": "mail"},
        "vectors": {},
        "suggestions": {"label": {"value": "atm", "score": 0.7, "agent": "m"} | suggestion},
        "responses": {"label": list(responses)},
        "status": "completed",
        "_server_id": "s",
    }


def classic(text: str, annotation: str | None, status: str) -> dict[str, Any]:
    guess = [{"label": "atm", "score": 0.6}]
    return {
        "text": text,
        "inputs": {"text": text},
        "prediction": guess,
        "prediction_agent": "m",
        "annotation": annotation,
        "annotation_agent": "ann",
        "multi_label": False,
        "id": text[:4],
        "metadata": None,
        "status": status,
    }


def said(value: str, user: str = "ann", status: str | None = None) -> dict[str, Any]:
    return {"value": value, "user_id": user} | ({"status": status} if status else {})


FLAT = {
    "id": [text[:5] for text, _ in LABELLED],
    "status": ["completed"] * 4,
    "text": [text for text, _ in LABELLED],
    "label.responses": [[label] for _, label in LABELLED],
    "label.responses.users": [["ann"]] * 4,
    "label.responses.status": [["submitted"]] * 4,
    "label.suggestion": ["atm"] * 4,
}
ARGILLA = [
    RealFile(
        "Argilla 2",
        "records.json",
        array(*(nested(t, said(n)) for t, n in LABELLED), nested(NONE)),
        "Argilla export: text from fields.text, label from responses.label",
        SEEDS,
        (5, 5, 0, 0),
    ),
    RealFile(
        "Argilla 2",
        "disagree.json",
        array(
            *(nested(t, said(n)) for t, n in LABELLED),
            nested(NONE, said("atm"), said("card_arrival", "bob")),
            nested("x y", said("atm", status="discarded")),
        ),
        "1 has annotators who disagree; 1 was skipped",
        SEEDS,
        (6, 4, 0, 2),
        reasons=("annotators disagree", "skipped"),
    ),
    RealFile(
        "Argilla 2",
        "flat.parquet",
        lambda: parquet(**FLAT),
        "Argilla export: text from text; label from label.responses",
    ),
    RealFile(
        "Argilla 2",
        "flat.jsonl",
        lines(*({name: values[row] for name, values in FLAT.items()} for row in range(4))),
        "Argilla export",
    ),
    RealFile("Argilla 2", "names.json", json.dumps(FLAT).encode(), "records: one list per column"),
    RealFile(
        "Argilla 1",
        "classic.jsonl",
        lines(
            *(classic(t, n, "Validated") for t, n in LABELLED),
            classic("bad", "atm", "Discarded"),
            classic(NONE, None, "Default"),
            classic("open", "atm", "Default"),
        ),
        "Argilla export (version 1)",
        SEEDS,
        (7, 6, 0, 1),
        reasons=("skipped or discarded",),
    ),
    RealFile(
        "Argilla 1",
        "feedback.jsonl",
        lines(
            *(
                {"text": t, "intent": [said(n, status="submitted")], "intent-suggestion": None, "external_id": None}
                for t, n in LABELLED
            )
        ),
        "Argilla feedback records: text from text, label from intent",
    ),
    RealFile(
        "Argilla 1",
        "status.csv",
        table(
            ["text", "annotation", "status"], *([t, n, "Validated"] for t, n in LABELLED), ["bad", "atm", "Discarded"]
        ),
        "'status' says whether each label is right",
        SEEDS,
        (5, 4, 0, 1),
        reasons=("skipped or discarded (status)",),
    ),
]

# refinery, Potato, spaCy, chat models, cloud services


def refined(text: str, label: str | None, task_name: str = "__topic") -> dict[str, Any]:
    return {
        "running_id": "0",
        "headline": text,
        f"{task_name}__MANUAL": label,
        f"{task_name}__WEAK_SUPERVISION": "atm",
        f"{task_name}__WEAK_SUPERVISION__confidence": 0.6,
    }


def potato(text: str, label: str, key: str = "id") -> dict[str, Any]:
    annotations = {"intent": {name: "true" for name in ("card_arrival", "atm") if name == label}}
    return {
        key: text[:4],
        "displayed_text": text,
        "label_annotations": annotations,
        "span_annotations": {},
        "behavioral_data": {},
    }


def manifest(text: str, label: str) -> dict[str, Any]:
    facts = {
        "class-name": label,
        "confidence": 0.9,
        "type": "groundtruth/text-classification",
        "human-annotated": "yes",
    }
    return {"source": text, "desk": 0, "desk-metadata": facts}


def labelbox(text: str, label: str) -> dict[str, Any]:
    radio = {"name": "intent", "radio_answer": {"name": label, "value": label}}
    marks = {"label_details": {"created_by": ANN}, "annotations": {"classifications": [radio]}}
    return {"data_row": {"id": "c1", "row_data": text}, "projects": {"p": {"labels": [marks]}}}


def chat(text: str, label: str) -> dict[str, Any]:
    roles = (("system", "You route mails."), ("user", text), ("assistant", label))
    return {"messages": [{"role": role, "content": content} for role, content in roles]}


OTHER_TOOLS = [
    RealFile(
        "refinery",
        "records.json",
        array(*(refined(t, n) for t, n in LABELLED), refined(NONE, None)),
        "refinery export: text from headline, label from __topic__MANUAL",
        SEEDS,
        (5, 5, 0, 0),
    ),
    RealFile(
        "refinery",
        "attribute.json",
        array(*(refined(t, n, "headline__topic") for t, n in LABELLED)),
        "label from headline__topic__MANUAL",
    ),
    RealFile(
        "Potato",
        "annotated_instances.jsonl",
        lines(*(potato(t, n) for t, n in LABELLED)),
        "Potato export: text from displayed_text, label from intent",
    ),
    RealFile("Potato", "old.jsonl", lines(*(potato(t, n, "instance_id") for t, n in LABELLED)), "Potato export"),
    RealFile(
        "Potato",
        "instances.csv",
        table(
            ["user", "instance_id", "displayed_text", "intent:::card_arrival", "intent:::atm"],
            *(["ann", 1, t, "1" if n == "card_arrival" else "", "1" if n == "atm" else ""] for t, n in LABELLED),
        ),
        "Potato export: text from displayed_text, label from intent",
    ),
    RealFile(
        "spaCy",
        "cats.jsonl",
        lines(
            *({"text": t, "cats": {"card_arrival": float(n != "atm"), "atm": float(n == "atm")}} for t, n in LABELLED)
        ),
        "spaCy training data",
    ),
    RealFile("spaCy", "pairs.json", array(*([t, {"cats": {n: 1}}] for t, n in LABELLED)), "spaCy training data"),
    RealFile("fastText", "train.txt", "".join(f"__label__{n} {t}\n" for t, n in LABELLED).encode(), "fastText file"),
    RealFile(
        "fastText",
        "several.txt",
        "".join(f"__label__{n} {t}\n" for t, n in LABELLED).encode()
        + b"__label__atm __label__card_arrival both of them\n",
        "fastText file",
        SEEDS,
        (5, 4, 0, 1),
        reasons=("several labels: atm, card_arrival",),
    ),
    RealFile("OpenAI", "chat.jsonl", lines(*(chat(t, n) for t, n in LABELLED)), "chat messages"),
    RealFile("OpenAI", "completions.jsonl", lines(*({"prompt": t, "completion": n} for t, n in LABELLED))),
    RealFile(
        "SageMaker",
        "output.manifest.jsonl",
        lines(*(manifest(t, n) for t, n in LABELLED)),
        "SageMaker Ground Truth manifest",
    ),
    RealFile(
        "Vertex AI",
        "items.jsonl",
        lines(*({"textContent": t, "classificationAnnotation": {"displayName": n}} for t, n in LABELLED)),
        "Vertex AI items",
    ),
    RealFile("Labelbox", "export.ndjson", lines(*(labelbox(t, n) for t, n in LABELLED)), "Labelbox export"),
    RealFile(
        "Mechanical Turk",
        "batch.csv",
        table(
            ["HITId", "WorkerId", "AssignmentStatus", "Input.text", "Answer.label"],
            *(["h", "w", "Approved", t, n] for t, n in LABELLED),
            ["h", "w", "Rejected", "bad work", "atm"],
        ),
        "'AssignmentStatus' says",
        SEEDS,
        (5, 5, 0, 0),
        {"bad work": "atm"},
    ),
    RealFile(
        "Rasa",
        "nlu.json",
        json.dumps(
            {"rasa_nlu_data": {"common_examples": [{"text": t, "intent": n, "entities": []} for t, n in LABELLED]}}
        ).encode(),
        "records: under 'rasa_nlu_data.common_examples'",
    ),
    RealFile(
        "Elasticsearch",
        "hits.json",
        json.dumps(
            {
                "took": 3,
                "hits": {
                    "total": 4,
                    "hits": [{"_id": str(i), "_source": {"text": t, "label": n}} for i, (t, n) in enumerate(LABELLED)],
                },
            }
        ).encode(),
        "records: under 'hits.hits'",
    ),
    RealFile(
        "Zendesk",
        "tickets.json",
        json.dumps(
            {
                "tickets": [
                    {"id": i, "description": t, "requester": {"email": "x@example.com"}, "tags": [n]}
                    for i, (t, n) in enumerate(LABELLED)
                ],
                "count": 4,
            }
        ).encode(),
        "records: under 'tickets'",
    ),
    RealFile(
        "GitHub",
        "issues.json",
        array(
            *(
                {"number": i, "body": t, "user": {"login": "ann"}, "labels": [{"id": 1, "name": n, "color": "f"}]}
                for i, (t, n) in enumerate(LABELLED)
            )
        ),
        "",
    ),
]

# pandas and datasets

FRAME = pd.DataFrame(LABELLED, columns=["text", "label"])
NAMES = {
    "label": {"names": ["card_arrival", "atm"], "_type": "ClassLabel"},
    "text": {"dtype": "string", "_type": "Value"},
}
CODES = [0 if label == "card_arrival" else 1 for _, label in LABELLED]
TEXTS = [text for text, _ in LABELLED]


def stata() -> bytes:
    out = io.BytesIO()
    FRAME.assign(label=FRAME["label"].astype("category")).to_stata(out, write_index=False, version=118)
    return out.getvalue()


def arrow_stream() -> bytes:
    out = io.BytesIO()
    made = pa.table({"text": TEXTS, "label": CODES}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": NAMES}})}
    )
    with pa.ipc.new_stream(out, made.schema) as writer:
        writer.write_table(made)
    return out.getvalue()


PANDAS = [
    RealFile("pandas", "index.csv", FRAME.to_csv().encode(), "without a name in the header: 'column 1'"),
    RealFile(
        "pandas",
        "list cells.csv",
        FRAME.assign(label=[[label] for label in FRAME["label"]]).to_csv(index=False).encode(),
    ),
    RealFile("pandas", "records.json", FRAME.to_json(orient="records").encode()),
    RealFile("pandas", "columns.json", FRAME.to_json(orient="columns").encode(), "records: one object per column"),
    RealFile("pandas", "index.json", FRAME.to_json(orient="index").encode(), "records: one object per key"),
    RealFile("pandas", "split.json", FRAME.to_json(orient="split").encode(), "records: columns and data apart"),
    RealFile("pandas", "table.json", FRAME.to_json(orient="table").encode(), "beside a schema"),
    RealFile("pandas", "values.json", FRAME.to_json(orient="values").encode(), "records: rows without column names"),
    RealFile("pandas", "list.json", json.dumps(FRAME.to_dict("list")).encode(), "records: one list per column"),
    RealFile(
        "pandas",
        "nan.jsonl",
        b"".join(f'{{"text": "{t}", "label": "{n}", "score": NaN}}\n'.encode() for t, n in LABELLED),
        "NaN is no JSON",
    ),
    RealFile(
        "pandas",
        "category.parquet",
        lambda: parquet(text=TEXTS, label=pa.array([n for _, n in LABELLED]).dictionary_encode()),
    ),
    RealFile("pandas", "stata.dta", stata, "its numbers have value labels"),
    RealFile(
        "datasets",
        "class label.parquet",
        lambda: parquet(NAMES, text=TEXTS, label=CODES),
        "its numbers have names in the file's metadata",
    ),
    RealFile(
        "datasets",
        "no label.parquet",
        lambda: parquet(NAMES, text=[*TEXTS, NONE], label=[*CODES, -1]),
        "its numbers have names",
        SEEDS,
        (5, 5, 0, 0),
    ),
    RealFile(
        "datasets",
        "several labels.parquet",
        lambda: parquet(
            {"label": {"feature": NAMES["label"], "_type": "Sequence"}},
            text=[*TEXTS, NONE],
            label=[*([code] for code in CODES), [0, 1]],
        ),
        "its numbers have names",
        SEEDS,
        (5, 4, 0, 1),
        reasons=("several labels: card_arrival, atm",),
    ),
    RealFile("datasets", "stream.arrow", arrow_stream, "its numbers have names"),
    RealFile(
        "CLINC150",
        "data_full.json",
        json.dumps(
            {"train": [list(pair) for pair in LABELLED[:2]], "test": [list(pair) for pair in LABELLED[2:]]}
        ).encode(),
        "pairs of text and label, in 2 splits",
    ),
]

# Spreadsheets and plain files

HEAD = ["Ticket-ID", "Erstellt am", "Beschreibung", "Kategorie"]
DAY = datetime(2024, 2, 29, tzinfo=UTC).replace(tzinfo=None)
TICKETS = [[f"T-{number}", DAY, text, label] for number, (text, label) in enumerate(LABELLED)]


def merge(made: Any) -> None:
    made["Tickets"].merge_cells("D2:D3")
    made["Tickets"].merge_cells("D4:D5")


def zeros(made: Any) -> None:
    for row in range(2, 6):
        made["Tickets"].cell(row, 2).number_format = "00000"


EXCEL = [
    RealFile("Excel", "one sheet.xlsx", lambda: book({"Tickets": [HEAD, *TICKETS]})),
    RealFile(
        "Excel",
        "read me first.xlsx",
        lambda: book(
            {"Read me": [["Please do not change"], ["Ask Ann"]], "Tickets": [HEAD, *TICKETS], "Lists": [["x"]]}
        ),
        "sheet: 'Tickets' (one of 3)",
    ),
    RealFile(
        "Excel",
        "named sheet.xlsx",
        lambda: book({"2023": [HEAD, ["T", DAY, NONE, "atm"]], "2024": [HEAD, *TICKETS]}),
        "",
        choices={"sheet": "2024"},
    ),
    RealFile(
        "Excel",
        "title.xlsx",
        lambda: book({"Tickets": [["Export of May"], [], HEAD, *TICKETS]}),
        "header: row 3 (2 rows above it not read)",
    ),
    RealFile(
        "Excel",
        "header row.xlsx",
        lambda: book({"Tickets": [["a", "b", "c", "d"], HEAD, *TICKETS]}),
        "",
        choices={"header_row": 2},
    ),
    RealFile(
        "Excel",
        "merged.xlsx",
        lambda: book({"Tickets": [HEAD, *TICKETS]}, merge),
        "merged cells: the value of each was written into all its rows (2 cells)",
    ),
    RealFile(
        "Excel",
        "zeros.xlsx",
        lambda: book({"Tickets": [["text", "number", "label"], *([t, 7, n] for t, n in LABELLED)]}, zeros),
    ),
    RealFile(
        "Excel", "one column.xlsx", lambda: book({"Tickets": [[text] for text in TEXTS]}), "no header", {}, role="pool"
    ),
    RealFile(
        "Excel",
        "notes beside.xlsx",
        lambda: book({"Tickets": [HEAD, *TICKETS[:3], [*TICKETS[3], "call back"]]}),
        "without a name in the header: 'column 5'",
    ),
    RealFile(
        "Excel",
        "semicolon.csv",
        b"sep=;\r\n" + table(HEAD, *TICKETS, separator=";"),
        "delimiter: semicolon (named in row 1)",
    ),
    RealFile(
        "Excel", "trailing.csv", table(["text", "label", ""], *([t, n, ""] for t, n in LABELLED)), "without a name"
    ),
    RealFile(
        "Excel",
        "title.csv",
        table(
            ["Export", "", ""],
            ["2024-05-01", "", ""],
            ["id", "text", "label"],
            *([i, t, n] for i, (t, n) in enumerate(LABELLED)),
            separator=";",
        ),
        "header: row 3",
    ),
    RealFile(
        "R",
        "row names.csv",
        b'"text","label"\n' + b"".join(f'"{i}","{t}","{n}"\n'.encode() for i, (t, n) in enumerate(LABELLED, 1)),
        "without a name in the header: 'column 1'",
    ),
    RealFile("plain", "lines.txt", "\n".join(TEXTS).encode(), "no header", {}, role="pool"),
    RealFile(
        "plain",
        "commas.txt",
        b"My card has not arrived, what now?\nI want to close my account\nThe app crashed, again\n",
        "no header",
        {},
        (3, 3, 0, 0),
        role="pool",
    ),
    RealFile(
        "plain",
        "no header.csv",
        table(*LABELLED),
        "no header",
        choices={"text_column": "column 1", "label_column": "column 2"},
    ),
    RealFile(
        "plain",
        "one example.csv",
        table(["text", "label"], *LABELLED, ["I lost my phone abroad", "lost_phone"]),
        "",
        SEEDS | {"I lost my phone abroad": "lost_phone"},
        (5, 5, 0, 0),
    ),
    RealFile(
        "plain",
        "several.csv",
        table(["text", "label"], *LABELLED, [NONE, "atm, card_arrival"]),
        "",
        SEEDS,
        (5, 4, 0, 1),
        reasons=("several labels: atm, card_arrival",),
    ),
    RealFile(
        "plain",
        "first label.csv",
        table(["text", "label"], *LABELLED, [NONE, "atm; card_arrival"]),
        "",
        SEEDS | {NONE: "atm"},
        (5, 5, 0, 0),
        choices={"several": "first"},
    ),
    RealFile(
        "plain",
        "each label.csv",
        table(["text", "label"], *LABELLED, [NONE, "atm | card_arrival"]),
        "",
        SEEDS,
        (6, 4, 0, 2),
        reasons=("under two labels: atm, card_arrival",) * 2,
        choices={"several": "each"},
    ),
    RealFile(
        "plain",
        "a comma in a name.csv",
        table(["text", "label"], *LABELLED, ["a b", "Billing, refunds"], ["c d", "Billing, refunds"]),
        "",
        SEEDS | {"a b": "Billing, refunds", "c d": "Billing, refunds"},
        (6, 6, 0, 0),
    ),
    RealFile(
        "plain",
        "folded.csv",
        table(["text", "label"], *LABELLED, [f" {CARD} ", "card_arrival"], ["", "atm"]),
        "",
        SEEDS,
        (6, 4, 1, 1),
        reasons=("empty text",),
    ),
]

# Mail

MAILS = [
    [f"<p>{CARD}</p><br><b>Sent from my phone</b><script>alert(1)</script>", "card_arrival"],
    [
        f"{CARD_TOO}\n\nOn Mon, 3 Jun 2024 at 10:00, Desk <desk@example.com> wrote:\n> How can we help?\n> Desk",
        "card_arrival",
    ],
    [f"{ATM}\n\nAm 03.06.2024 um 10:00 schrieb Desk <desk@example.com>:\n> Guten Tag", "atm"],
    [f"{ATM_TOO}\n-- \nAnn Smith\nExample Ltd", "atm"],
]
MAIL = [
    RealFile("mail", "mails.csv", table(["text", "label"], *MAILS), "taken out of 4 texts"),
    RealFile(
        "mail",
        "as they came.csv",
        table(["text", "label"], *([f"<p>{t}</p>", n] for t, n in LABELLED)),
        "",
        {f"<p>{t}</p>": n for t, n in LABELLED},
        choices={"mail": False},
    ),
    RealFile(
        "mail",
        "outlook.csv",
        table(
            ["text", "label"],
            *(
                [
                    f"<head><style>p {{}}</style></head><div>{t}</div><blockquote>Old</blockquote>",
                    n,
                ]
                for t, n in LABELLED
            ),
        ),
        "taken out of 4 texts",
    ),
]

REAL_FILES = {
    f"{each.tool}: {each.file}": each
    for each in (*LABEL_STUDIO, *PRODIGY, *DOCCANO, *ARGILLA, *OTHER_TOOLS, *PANDAS, *EXCEL, *MAIL)
}
