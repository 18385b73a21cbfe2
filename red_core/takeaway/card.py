"""The model card: README.md of a model folder, with the YAML block that model hubs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from red_core.records import judge_in_words
from red_core.steps.belief import NOT_CALIBRATED, Calibration
from red_core.takeaway.contents import Contents, LabelEntry

LABELS_LISTED = 1_000
"""Labels that the card lists; config.json has all of them."""


_BODY = """
# {title}

A text classifier made with R.E.D. Workbench (Recursive Expert Delegation): small classifiers on sentence vectors. It
gives one of {labels:,} labels{none}.

```python
from red_core import RedClassifier

model = RedClassifier.from_folder("this folder")
model.predict(["a text"])
```

## Training and accuracy

{facts}
- Languages: {languages}.
- Expected share of texts that belong to no label: {share:.1%} (estimated).
- Embedding model: {encoder}, revision {revision}, {dimensions} dimensions. SHA-256 of its weights: {sha256}.

## Use and limits

- Intended use: give labels of this set to texts of the kind that it was trained on. A person should review labels with
  low confidence.
- {calibrated} They are too high for texts of another kind.
- The encoder reads only the beginning of a long text, a few hundred words.
- Watch the answers: if many more texts become *none of these*, or if the shares of the labels move away from those in
  `config.json` (facts, baseline), label new examples and train again.
- The folder contains names and meanings of labels. It contains no text of the project, but its numbers come from these
  texts.

## Labels

{rows}
"""


def card_of_fit(contents: Contents) -> str:
    """Return the card of a classifier without its project: of a fit, or of a folder that was loaded."""
    try:
        facts = sentences_of_round(contents.facts) if "origin" in contents.facts else _of_fit(contents.facts)
    except (KeyError, TypeError, ValueError, OverflowError):  # somebody changed the folder
        facts = ["Data and accuracy: not known."]
    return model_card(contents, "R.E.D. classifier", (), facts)


def _of_fit(known: Mapping[str, Any]) -> list[str]:
    examples, unlabelled = known["examples"], known["unlabelled_texts"]
    trained = f"Trained on {examples:,} labelled examples and {unlabelled:,} unlabelled texts. No judge, no review."
    return [trained, "Accuracy: not measured."]


def sentences_of_round(known: Mapping[str, Any]) -> list[str]:
    """Return what a card says about the last round of a project; ``known`` are the facts of its folder."""
    said = [
        f"Made from {known['origin']}.",
        f"Data: {known['labelled_examples']:,} labelled examples, {known['unlabelled_texts']:,} unlabelled texts.",
        f"Rounds: {known['rounds']}.",
        f"Judge of the last round: {judge_in_words(known['judge'])}.",
        f"Estimated accuracy on the unlabelled texts: {known['estimated_accuracy']:.1%} (an estimate).",
    ]
    if known["judge_passes"]:
        right, wrong = known["judge_passes"]
        said.insert(4, f"The judge said valid to {right:.0%} of right and {wrong:.0%} of wrong labels "
                    f"({known['judge_pairs']} pairs).")  # fmt: skip
    measured = known["measured_accuracy"]
    if measured:
        said.append(
            f"Measured accuracy (blind audit of {measured['audits']:,} texts): {measured['share']:.1%}, 95% interval "
            f"{measured['low']:.1%} to {measured['high']:.1%}."
        )
    else:
        said.append("Measured accuracy: no blind audit was made.")
    given = (known["certificate"], known["selective_certificate"])
    return said + [f"Certificate: {certificate['statement']}" for certificate in given if certificate]


def model_card(contents: Contents, title: str, languages: Sequence[str], facts: Sequence[str]) -> str:
    """Return a card in Markdown.

    Parameters
    ----------
    title : str
    languages : sequence of str
        Codes such as ``en``; empty if nobody said.
    facts : sequence of str
        Sentences on data, rounds, judge and accuracy.
    """
    encoder, shown = contents.encoder, contents.labels[:LABELS_LISTED]
    rows = _table(shown)
    if len(shown) < len(contents.labels):
        rows.append(f"| {len(contents.labels) - len(shown):,} more are in config.json | |")
    return _metadata(contents, languages) + _BODY.format(
        title=_plain(title), labels=len(contents.labels), none=", or *none of these*" * contents.none_of_these,
        facts="\n".join(f"- {_plain(fact)}" for fact in facts),
        languages=", ".join(_plain(code) for code in languages) or "not stated", share=contents.none_shares[1],
        encoder=_plain(encoder.name) or "a folder of the machine that made this model",
        revision=_plain(encoder.revision) or "unknown", dimensions=encoder.dimensions, sha256=encoder.sha256,
        rows="\n".join(rows), calibrated=_calibrated(contents),
    )  # fmt: skip


def _calibrated(contents: Contents) -> str:
    if Calibration(contents.beta, contents.none_score) == NOT_CALIBRATED:
        return "Confidences are not calibrated: each label had a single example."
    return "Confidences are calibrated on the labelled examples."


def _table(labels: Sequence[LabelEntry]) -> list[str]:
    """Return the lines of a table of labels; with a column of groups if one is in a group."""
    grouped = any(label.path for label in labels)
    rows = ["| label | meaning | groups |", "|---|---|---|"] if grouped else ["| label | meaning |", "|---|---|"]
    for label in labels:
        cells = [label.name, label.meaning, *([" > ".join(label.path)] if grouped else [])]
        rows.append(f"| {' | '.join(_plain(cell) for cell in cells)} |")
    return rows


def _metadata(contents: Contents, languages: Sequence[str]) -> str:
    """Return the YAML block; each outside value is a JSON string, which YAML reads as it is."""
    base = contents.encoder.name
    if base and "/" not in base:
        base = f"sentence-transformers/{base}"
    lines = ["library_name: red-workbench", "pipeline_tag: text-classification"]
    lines += [f"base_model: {json.dumps(base)}"] if base else []
    lines += ["language:", *(f"- {json.dumps(code)}" for code in languages)] if languages else []
    return "\n".join(["---", *lines, "tags:", "- text-classification", "- few-shot", "---", ""])


def _plain(text: str) -> str:
    """Return outside text as one line that Markdown shows as it is."""
    escaped = "".join(f"\\{c}" if c in r"\`*_{}[]<>()#+!|~$&" else c for c in " ".join(text.split()))
    return escaped.replace("://", ":\\//")
