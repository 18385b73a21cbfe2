"""Files as a newcomer sends them: odd encodings, separators and quotes, other shapes of JSON, several labels in a cell.

Like :mod:`tests.helpers.real_files`, but each stands for one fault or habit, not for one tool.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from tests.helpers.real_files import (
    ATM,
    ATM_TOO,
    CARD,
    CARD_TOO,
    LABELLED,
    NONE,
    NONE_TOO,
    SEEDS,
    RealFile,
    array,
    book,
    lines,
    table,
)

HEAD = ["text", "label"]
QUOTED = {f"{text}, and it\u2019s late\u2014\u201cvery\u201d late": label for text, label in LABELLED}
FRENCH = {f"{text}, aujourd\u2019hui je n\u2019ai rien": label for text, label in LABELLED}
POLISH = {f"{text}, zgubiłem kartę płatniczą źć": label for text, label in LABELLED} | {"WSPÓŁPRACA": "atm"}
SPANISH = {f"{text}, ¿dónde está mi número de año?": label for text, label in LABELLED}
GERMAN = {f"{text} für Müller, größer": label for text, label in LABELLED}
JAPANESE = {f"カードがまだ届いていません。どうすればいいですか {n}": label for n, (_, label) in enumerate(LABELLED * 3)}
KOREAN = {f"카드가 아직 도착하지 않았습니다 {n}": label for n, (_, label) in enumerate(LABELLED * 3)}


def encoded(encoding: str, rows: dict[str, str], separator: str = ",") -> bytes:
    """Return a CSV file of texts and labels in an encoding."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows([HEAD, *rows.items()])
    return out.getvalue().encode(encoding)


def joined(pattern: str, *rows: Sequence[str]) -> bytes:
    """Return rows as a program writes them that has rules of its own."""
    return "".join(pattern.format(*row) + "\n" for row in (HEAD, *LABELLED, *rows)).encode()


ENCODINGS = [
    RealFile("encoding", "old mac.csv", encoded("mac_roman", GERMAN, ";"), "encoding: mac_roman (guessed", GERMAN),
    RealFile("encoding", "dos.csv", encoded("cp850", GERMAN, ";"), "encoding: cp850 (guessed", GERMAN),
    RealFile("encoding", "windows.csv", encoded("cp1252", GERMAN, ";"), "encoding: cp1252 (guessed", GERMAN),
    RealFile("encoding", "apostrophes.csv", encoded("cp1252", QUOTED), "encoding: cp1252 (guessed", QUOTED),
    RealFile("encoding", "french apostrophes.csv", encoded("cp1252", FRENCH), "encoding: cp1252 (guessed", FRENCH),
    RealFile(
        "encoding", "polish capitals.csv", encoded("cp1250", POLISH), "encoding: cp1250 (guessed", POLISH, (5, 5, 0, 0)
    ),
    RealFile("encoding", "spanish mac.csv", encoded("mac_roman", SPANISH), "encoding: mac_roman (guessed", SPANISH),
    RealFile("encoding", "utf-32.csv", encoded("utf-32", SEEDS), ""),
    RealFile("encoding", "utf-16 without mark.csv", encoded("utf-16-le", SEEDS), "utf-16-le (guessed: it has no mark)"),
    RealFile("encoding", "unicode text.txt", encoded("utf-16", GERMAN, "\t"), "", GERMAN),
    RealFile("encoding", "shift jis.csv", encoded("cp932", JAPANESE), "cp932", JAPANESE, (12, 12, 0, 0)),
    RealFile("encoding", "euc.csv", encoded("euc_jp", JAPANESE), "euc_jp", JAPANESE, (12, 12, 0, 0)),
    RealFile("encoding", "korean.csv", encoded("cp949", KOREAN), "cp949", KOREAN, (12, 12, 0, 0)),
]

SEPARATORS = [
    RealFile("separator", "tilde.csv", table(HEAD, *LABELLED, separator="~"), "delimiter: tilde (guessed)"),
    RealFile("separator", "caret.csv", table(HEAD, *LABELLED, separator="^"), "delimiter: caret (guessed)"),
    RealFile("separator", "hive.txt", table(HEAD, *LABELLED, separator="\x01"), "delimiter: control-A (guessed)"),
    RealFile("separator", "two bars.csv", joined("{}||{}"), "without a name in the header"),
    RealFile("quotes", "blank before.csv", joined('"{}", "{}"'), "blanks before a quote are passed over"),
    RealFile("quotes", "single.csv", joined("'{}','{}'", ["Yes, now", "atm"]), "quotes: single",
             SEEDS | {"Yes, now": "atm"}, (5, 5, 0, 0)),
    RealFile("quotes", "backslash.csv", joined('"{}","{}"', ['He said \\"no\\", again', "atm"]), 'quotes: \\" is',
             SEEDS | {'He said "no", again': "atm"}, (5, 5, 0, 0)),
    RealFile("quotes", "never closed.tsv", joined("{}\t{}", ['"hello there', "atm"]), "quotes: they belong to",
             SEEDS | {'"hello there': "atm"}, (5, 5, 0, 0)),
    RealFile("quotes", "whole rows.csv", joined('"{},{}"'), "each row was one quoted field"),
    RealFile("header", "comments.csv", b"# exported\n# version 2\n" + table(HEAD, *LABELLED), "header: row 3"),
    RealFile("header", "again.csv", table(HEAD, *LABELLED[:2], HEAD, *LABELLED[2:]), "",
             counts=(5, 4, 0, 1), reasons=("the header again",)),
    RealFile("header", "markdown.csv", joined("| {} | {} |").replace(b"|\n", b"|\n|---|---|\n", 1), "delimiter: bar",
             counts=(5, 4, 0, 1), reasons=("a ruled line",)),
    RealFile("header", "twice note.csv", table([*HEAD, "note", "note"], *([*row, 1, 2] for row in LABELLED)),
             "two columns are named 'note': the later one is 'note (2)'"),
    RealFile("header", "qualtrics.csv",
             table(["Q1", "Q2"], ["Please paste the message", "Which topic?"],
                   ['{"ImportId":"QID1"}', '{"ImportId":"QID2"}'], *LABELLED), "header: row 2",
             counts=(5, 4, 0, 1), reasons=("the cell holds an object and no text",)),
    RealFile("header", "form.csv", table(["Timestamp", "What is the message?", "Choose the topic"],
                                         *(["2024/05/01 10:00", *row] for row in LABELLED)), "label column: 'Choose"),
    RealFile("header", "orcid.csv", table(["ORCID", *HEAD], *(["0000-0001", *row] for row in LABELLED))),
    RealFile("header", "totals.csv", table([*HEAD, "n"], *([*row, 1] for row in LABELLED), ["Total", "", 4]), "",
             counts=(5, 4, 0, 1), reasons=("a row of totals",)),
]  # fmt: skip


def labelled_as(form: str, *more: Sequence[str]) -> bytes:
    """Return a CSV file whose label cells have this form."""
    return table(HEAD, *([text, form.format(label)] for text, label in LABELLED), *more)


TWO = [(NONE, each) for each in ("atm + card_arrival", "atm & card_arrival", "atm/card_arrival", "atm::card_arrival")]
SCORES = [{"label": "other", "score": 0.1}]
VOTED = [
    [text, label, label, "atm" if text == CARD else label]
    for text, label in LABELLED
]  # fmt: skip
FLAGS = [[text, int(label == "atm"), int(label == "card_arrival"), 0] for text, label in LABELLED]
LABEL_CELLS = [
    RealFile("label cell", "numpy.csv", labelled_as("array(['{}'], dtype=object)")),
    RealFile("label cell", "index.csv", labelled_as("Index(['{}'])")),
    RealFile("label cell", "tuple.csv", labelled_as("('{}',)")),
    RealFile("label cell", "set.csv", labelled_as("{{'{}'}}")),
    RealFile("label cell", "object.csv", labelled_as('{{"intent": "{}", "confidence": 0.9}}')),
    RealFile("label cell", "list of lists.csv", labelled_as('[["{}"]]')),
    RealFile("label cell", "scores.jsonl",
             lines(*({"text": t, "labels": [{"label": n, "score": 0.9}, *SCORES]} for t, n in LABELLED))),
    *(RealFile("label cell", f"two {number}.csv", table(HEAD, *LABELLED, row), "", SEEDS, (5, 4, 0, 1),
               reasons=("several labels: atm, card_arrival",)) for number, row in enumerate(TWO)),
    RealFile("label cell", "and.csv", table(HEAD, *LABELLED, [NONE, "atm and card_arrival"]), "", SEEDS, (5, 4, 0, 1),
             reasons=("several labels: atm, card_arrival",)),
    RealFile("label cell", "terms and conditions.csv", labelled_as("Terms and {}"), "",
             {text: f"Terms and {label}" for text, label in LABELLED}),
    RealFile("label cell", "zendesk tags.csv", table(["body", "Tags"], *LABELLED, [NONE, "atm card_arrival"]), "",
             SEEDS, (5, 4, 0, 1), reasons=("several labels: atm, card_arrival",)),
    RealFile("label cell", "invisible.csv", table(HEAD, *LABELLED, [NONE, "atm\u200b"], [NONE_TOO, "\ufeffatm"]),
             "2 labels hold characters", SEEDS | {NONE: "atm\u200b", NONE_TOO: "\ufeffatm"}, (6, 6, 0, 0)),
    RealFile("label cell", "yes and no.jsonl",
             lines(*({"text": t, "labels": {"atm": n == "atm", "card_arrival": n != "atm"}} for t, n in LABELLED)),
             "an object from labels to yes and no"),
    RealFile("names", "gold.csv", table(["text", "predicted_label", "gold_label"], *([t, "x", n] for t, n in LABELLED)),
             "label column: 'gold_label'"),
    RealFile("names", "predicted.csv", table(["text", "predicted_label"], *LABELLED), "seems to hold labels of"),
    RealFile("names", "levels.csv", table(["Issue Description", "L1 Category", "Sub-category"],
                                          *([t, "Bank", n] for t, n in LABELLED)), "label column: 'Sub-category'"),
    RealFile("label cell", "two alphabets.csv", table(HEAD, *LABELLED, [NONE, "\u0430tm"]),
             "the label '\u0430tm' has letters of two alphabets", SEEDS | {NONE: "\u0430tm"}, (5, 5, 0, 0)),
    RealFile("encoding", "saved twice.csv", table(HEAD, *LABELLED, ["caf\u00c3\u00a9 it\u00e2\u20ac\u2122s", "atm"]),
             "1 text seems garbled, such as \u00c3\u00a9", SEEDS | {"caf\u00c3\u00a9 it\u00e2\u20ac\u2122s": "atm"},
             (5, 5, 0, 0)),
    RealFile("missing", "nan.csv", table(HEAD, *LABELLED, [NONE, "nan"], [NONE_TOO, "NULL"]),
             "read as no label: 'nan' (1 row), 'NULL' (1 row)", SEEDS, (6, 6, 0, 0)),
    RealFile("missing", "none of these.csv",
             table(HEAD, *LABELLED, [NONE, "None  of these"], [NONE_TOO, "(none of these)"]),
             "read as no label: 'None  of these' (1 row), '(none of these)' (1 row)", SEEDS, (6, 6, 0, 0)),
    RealFile("missing", "n a.csv", table(HEAD, *LABELLED, [NONE, "N/A"]), "kept as a label, though it may mean",
             SEEDS | {NONE: "N/A"}, (5, 5, 0, 0)),
    *(RealFile("missing", f"error {number}.csv", table(HEAD, *LABELLED, [NONE, error]), "read as no label", SEEDS,
               (5, 5, 0, 0)) for number, error in enumerate(("#NUM!", "#SPILL!", "#NV", "#BEZUG!", "#VALEUR!"))),
    RealFile("missing", "abstained.csv", table(HEAD, *LABELLED, [NONE, "-1"], [NONE_TOO, "ABSTAIN"]),
             "kept as a label, though it may mean that there is none: '-1', 'ABSTAIN'",
             SEEDS | {NONE: "-1", NONE_TOO: "ABSTAIN"}, (6, 6, 0, 0)),
    RealFile("missing", "excel errors.xlsx", lambda: book({"A": [HEAD, *LABELLED, ["#NAME?", "atm"]]}), "", SEEDS,
             (5, 4, 0, 1), reasons=("Excel has an error in this cell (#NAME?)",)),
    RealFile("names", "numbers and names.csv",
             table(["text", "label", "label_text"], *([t, int(n == "atm"), n] for t, n in LABELLED)),
             "label column: 'label_text'"),
    RealFile("several columns", "votes.csv", table(["text", "rater_1", "rater_2", "rater_3"], *VOTED),
             "one column per annotator (rater_1, rater_2, rater_3): the label is what they agree on; 1 has",
             dict(LABELLED[1:]), (4, 3, 0, 1), reasons=("annotators disagree: card_arrival, atm",)),
    RealFile("several columns", "flags.csv",
             table(["comment", "atm", "card_arrival", "fees", "fraud"], *([*row, 0] for row in FLAGS),
                   [NONE, 0, 0, 1, 0], [NONE_TOO, 0, 0, 0, 0], ["Both", 1, 1, 0, 0]),
             "one column per label, with 0 and 1: atm, card_arrival, fees, fraud (4 labels)",
             SEEDS | {NONE: "fees"}, (7, 6, 0, 1), reasons=("several labels: atm, card_arrival",)),
]  # fmt: skip

OF_LABEL = {"card_arrival": [CARD, CARD_TOO], "atm": [ATM, ATM_TOO]}


def per_label(name: str, texts: str, wrap: str | None = None) -> bytes:
    """Return intents as chat bots keep them: one record per label with the list of its texts."""
    held = {label: [{wrap: text} if wrap else text for text in each] for label, each in OF_LABEL.items()}
    return json.dumps(
        {"intents": [{name: label, texts: each, "responses": ["ok"]} for label, each in held.items()]}
    ).encode()


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


RASA = b"""version: "3.1"
nlu:
- intent: card_arrival
  examples: |
    - My card has not come yet
    - Where is my new [card](thing)
- lookup: city
  examples: |
    - Berlin
- intent: fees
  examples:
  - text: |
      Why was I charged
      for [this](thing)
    metadata:
      mood: angry
  - text: |
      What does it cost: a lot?
- intent: atm
  examples: |
    - The machine kept my card
    - The [cash machine]{"entity": "thing"} gave too little
"""
FEATURES = [
    {"name": "text", "type": {"dtype": "string", "_type": "Value"}},
    {"name": "label", "type": {"names": ["card_arrival", "atm"], "_type": "ClassLabel"}},
]
ROWS = [{"row_idx": n, "row": {"text": t, "label": int(a == "atm")}} for n, (t, a) in enumerate(LABELLED)]


def kili(text: str, label: str) -> dict[str, object]:
    answer = {"JOB_0": {"categories": [{"name": label, "confidence": 100}]}}
    return {"content": text, "labels": [{"author": {"email": "a@example.com"}, "jsonResponse": answer}]}


SHAPES = [
    RealFile("chat bot", "patterns.json", per_label("tag", "patterns"), "one record per label: label from tag"),
    RealFile("Watson", "intents.json", per_label("intent", "examples", "text"), "texts from examples (2 labels)"),
    RealFile("Lex", "intents.json", per_label("name", "sampleUtterances", "utterance"), "texts from sampleUtterances"),
    RealFile("Rasa", "nlu.yml", RASA, "Rasa training data",
             SEEDS | {"Why was I charged for this": "fees", "What does it cost: a lot?": "fees"}, (6, 6, 0, 0)),
    RealFile("Rasa", "nlu.md", "".join(f"## intent:{label}\n" + "".join(f"- {text}\n" for text in each) + "\n"
                                       for label, each in OF_LABEL.items()).encode(), "Rasa training data"),
    RealFile("JSON", "texts of labels.json", dumped(OF_LABEL), "an object of 2 labels, each with its texts"),
    RealFile("JSON", "label of texts.json", dumped(SEEDS), "an object from each text to its label"),
    RealFile("JSON", "viewer.json", dumped({"features": FEATURES, "rows": ROWS}), "the numbers of 'label' have names"),
    RealFile("JSON", "array.jsonl", array(*({"text": t, "label": n} for t, n in LABELLED)), "format: a JSON array"),
    RealFile("JSON", "lines.csv", lines(*({"text": t, "label": n} for t, n in LABELLED)), "format: JSON (told from"),
    RealFile("JSON", "commas.jsonl", b",\n".join(dumped({"text": t, "label": n}) for t, n in LABELLED), ""),
    RealFile("JSON", "pretty.json",
             "\n".join(json.dumps({"text": t, "label": n}, indent=2) for t, n in LABELLED).encode(), ""),
    RealFile("JSON", "paragraphs.jsonl", lines(*({"text": t.split(" ", 1), "label": n} for t, n in LABELLED)),
             "4 texts are lists of strings: their parts were joined"),
    RealFile("JSON", "tokens.jsonl", lines(*({"tokens": t.split(), "label": n} for t, n in LABELLED)),
             "their parts were joined"),
    RealFile("JSON", "keyed.json", dumped({f"k{number}": {"text": t, "label": n} | ({} if number else {"note": "x"})
                                           for number, (t, n) in enumerate(LABELLED)}), "records: one object per key"),
    RealFile("Firebase", "tree.json", dumped({"tickets": {f"-N{number}": {"text": t, "label": n}
                                                          for number, (t, n) in enumerate(LABELLED)}}), "per key"),
    RealFile("JSON", "strings.json", dumped([CARD, ATM]), "texts without labels", {}, (2, 2, 0, 0), role="pool"),
    RealFile("fastText", "commas.txt", "".join(f"__label__{n} , {t}\n" for t, n in LABELLED).encode(), "fastText file"),
    RealFile("fastText", "lines.csv", "".join(f"__label__{n} {t}, please\n" for t, n in LABELLED).encode(),
             "fastText file", {f"{t}, please": n for t, n in LABELLED}),
    RealFile("Kili", "export.json", array(*(kili(t, n) for t, n in LABELLED)), "Kili export: text from content"),
    RealFile("LightTag", "export.json", dumped({"examples": [
        {"content": t, "classifications": [{"classname": n}], "annotations": []} for t, n in LABELLED]}), "'examples'"),
    RealFile("Gemini", "tuning.jsonl", lines(*({"contents": [
        {"role": "user", "parts": [{"text": t}]}, {"role": "model", "parts": [{"text": n}]}]} for t, n in LABELLED)),
        "chat messages"),
    RealFile("Toloka", "assignments.tsv",
             table(["INPUT:text", "OUTPUT:result", "ASSIGNMENT:status"], *([*row, "APPROVED"] for row in LABELLED),
                   ["bad work", "atm", "REJECTED"], separator="\t"), "'ASSIGNMENT:status' says",
             SEEDS, (5, 5, 0, 0), {"bad work": "atm"}),
    RealFile("ATLAS.ti", "quotations.xlsx",
             lambda: book({"A": [["Quotation Content", "Codes", "Document"], *([*row, "d"] for row in LABELLED)]})),
]  # fmt: skip

SHEETS = [
    RealFile("Excel", "hidden.xlsx", lambda: book(
        {"Old": [HEAD, *[[f"old {n}", "atm"] for n in range(9)]], "Now": [HEAD, *LABELLED]},
        lambda made: setattr(made["Old"], "sheet_state", "hidden")), "sheet: 'Now' (one of 2)"),
    RealFile("Excel", "groups above.xlsx", lambda: book(
        {"A": [["Ticket", None, "Result"], ["id", "text", "label"], *[[n, *row] for n, row in enumerate(LABELLED)]]},
        lambda made: made["A"].merge_cells("A1:B1")), "header: row 2"),
    RealFile("Excel", "carriage return.xlsx", lambda: book(
        {"A": [HEAD, *LABELLED, ["hi_x000D_\nthere", "atm"]]}), "", SEEDS | {"hi there": "atm"}, (5, 5, 0, 0)),
    RealFile("Excel", "no results.xlsx", lambda: book(
        {"A": [HEAD, *LABELLED, [NONE, "=A1"]]}), "1 formula has no result in the file", SEEDS, (5, 5, 0, 0)),
]  # fmt: skip

ODD_FILES = {f"{each.tool}: {each.file}": each for each in (*ENCODINGS, *SEPARATORS, *LABEL_CELLS, *SHAPES, *SHEETS)}
