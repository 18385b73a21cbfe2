"""Compare forms of the judge's question: ``python -m benchmarks.prompt_forms --server http://127.0.0.1:8080/v1 DATA``.

Each form asks a real model about right pairs (a text and its own label, beside its nearest rival), wrong pairs (the
same, exchanged) and pairs of two wrong labels. The rates are those of the likelier word; the bits are those of the
calibrated probability, cross-validated as in the self-test. Tokens are as the server counts them, for one question.
``--json`` keeps every answer when it comes; with the same file, a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.letters import letters_messages, yes_no_messages
from benchmarks.trial import Draw, draw
from red_core.judges.contents import chances_at, probability_of_valid
from red_core.judges.dialect import TOP_TOKENS, Dialect
from red_core.judges.prompt import ANSWER, INSTRUCTIONS, TASK, prompt_of
from red_core.judges.self_test import self_test_pairs
from red_core.records import Floats, Label, Question
from red_core.settings import RECOMMENDED
from red_core.steps.judge_reliability import bits_of_probabilities, bits_of_words
from red_core.training import ValidSamples

Ask = Callable[[Question], list[dict[str, Any]]]
"""Returns the bodies of the requests for one question; their logits are averaged."""
YES_NO = f"{INSTRUCTIONS} Answer with one word only: Yes or No."


@dataclass(frozen=True)
class Form:
    """One way to ask: the requests, the examples of each label, and the words of the answer, *right* first.

    ``words`` holds one entry for each request; without words the verdict of the JSON question is read.
    """

    name: str
    bodies: Ask
    examples: int = 3
    words: tuple[tuple[str, ...], ...] = ()


@dataclass
class Told:
    """The answers to the requests of one question, in their order."""

    kind: str
    ps: list[float | None]
    tokens: list[int]
    cached: list[int]
    seconds: float = 0.0

    def first(self, requests: int) -> tuple[float | None, int, int]:
        """Return the probability by the first requests, their tokens, and how many of these were cached."""
        clipped = [float(np.clip(p, 1e-6, 1 - 1e-6)) for p in self.ps[:requests] if p is not None]
        mean = float(1 / (1 + np.exp(-np.mean([np.log(p / (1 - p)) for p in clipped])))) if clipped else None
        return mean, sum(self.tokens[:requests]), sum(self.cached[:requests])


def one_word(messages: list[dict[str, str]]) -> dict[str, Any]:
    return {"messages": messages, "temperature": 0, "max_tokens": 1, "logprobs": True, "top_logprobs": 20}


def json_question(question: Question) -> list[dict[str, Any]]:
    system, user = f"{TASK}\n\n{ANSWER}", prompt_of(question).message
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    form = {"response_format": {"type": "json_object"}}
    return [{"messages": messages} | form | Dialect().parameters() | {"top_logprobs": 4 * TOP_TOKENS}]


def yes_no(question: Question) -> list[dict[str, Any]]:
    user = prompt_of(question).message
    return [one_word([{"role": "system", "content": YES_NO}, {"role": "user", "content": user}])]


def plain_yes_no(question: Question) -> list[dict[str, Any]]:
    return [one_word(yes_no_messages(question))]


def letters(*orders: bool, neither: bool = False) -> Ask:
    return lambda question: [
        one_word(letters_messages(question, swapped=swapped, neither=neither)) for swapped in orders
    ]


AB, BA, ABN, BAN = ("a", "b"), ("b", "a"), ("a", "b", "n"), ("b", "a", "n")
FORMS = {
    form.name: form
    for form in (
        Form("json", json_question),
        Form("json, 1 example", json_question, 1),
        Form("yes/no", yes_no, words=(("yes", "no"),)),
        Form("yes/no, plain text", plain_yes_no, words=(("yes", "no"),)),
        Form("A/B", letters(False, True), words=(AB, BA)),
        Form("A/B, 1 example", letters(False, True), 1, (AB, BA)),
        Form("A/B, 5 examples", letters(False, True), 5, (AB, BA)),
        Form("A/B/N", letters(False, True, neither=True), words=(ABN, BAN)),
    )
}


def probability(body: dict[str, Any], words: Sequence[str]) -> float | None:
    """Return the probability of the first word against the others, at the first token."""
    if not words:
        return probability_of_valid(body)
    content = (body["choices"][0].get("logprobs") or {}).get("content") or []
    tops = [_Top(top["token"], top["logprob"]) for top in content[0]["top_logprobs"]] if content else []
    if all(len(word) == 1 for word in words):  # a letter is the whole token: "Based" is no B
        tops = [top for top in tops if len(top.token.strip()) == 1]
    found = chances_at(tops, "", words)
    if not found:
        return None
    least = min(np.exp(top.logprob) for top in tops) / 2
    chances = [found.get(word, least) for word in words]
    return float(chances[0] / sum(chances))


@dataclass(frozen=True)
class _Top:
    token: str
    logprob: float


def asked(client: httpx2.Client, model: str, form: Form, kind: str, question: Question) -> Told:
    told, began = Told(kind, [], [], []), time.monotonic()
    shown = replace(
        question,
        examples=question.examples[: form.examples],
        rival_examples=question.rival_examples[: form.examples],
    )
    bodies = form.bodies(shown)
    for body, words in zip(bodies, form.words or ((),) * len(bodies), strict=True):
        reply = client.post("chat/completions", json={"model": model} | body).raise_for_status().json()
        usage = reply["usage"]
        told.ps.append(probability(reply, words))
        told.tokens.append(usage["prompt_tokens"] + usage["completion_tokens"])
        told.cached.append((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
    told.seconds = time.monotonic() - began
    return told


def questions_of(drawn: Draw, texts: int) -> list[tuple[str, Question]]:
    """Return right and wrong pairs in turn, each text with a pair of two wrong labels after them."""
    labels = [Label(number + 1, name.replace("_", " ")) for number, name in enumerate(drawn.names)]
    samples = ValidSamples(
        np.arange(len(drawn.seed_texts)), drawn.seed_labels, drawn.seed_vectors, tuple(drawn.seed_texts),
        np.ones(len(drawn.seed_texts), dtype=bool), np.array([label.id for label in labels]),
    )  # fmt: skip
    settings = RECOMMENDED.model_copy(update={"self_test_seeds": texts, "canaries": 0, "examples_shown": 5})
    pairs: list[tuple[str, Question]] = list(self_test_pairs(samples, labels, settings))
    neither = []
    centres = np.stack([samples.vectors[samples.labels == n].mean(axis=0) for n in range(len(labels))])
    for _, wrong in pairs[1::2]:
        vector = samples.vectors[wrong.text]
        order = np.argsort(-(centres @ vector))
        known = {wrong.label.id - 1, wrong.runner_up.id - 1}
        other = next(int(number) for number in order if int(number) not in known)
        rival = samples.nearest(wrong.text, vector, other, 5)
        neither.append(("neither", replace(wrong, runner_up=labels[other], rival_examples=rival)))
    return pairs + neither


def measured(answers: Sequence[Told], requests: int) -> dict[str, float]:
    """Return the figures of one form, if only the first requests of each question were sent."""
    each = [(told.kind, *told.first(requests)) for told in answers]
    known = [(kind, p) for kind, p, *_ in each if p is not None and kind != "neither"]
    p, right = np.array([p for _, p in known]), np.array([kind == "right" for kind, _ in known], dtype=bool)
    counts = [{"valid": int((p[of] >= 0.5).sum()), "invalid": int((p[of] < 0.5).sum())} for of in (right, ~right)]
    neither = np.array([p for kind, p, *_ in each if p is not None and kind == "neither"])
    tokens, bits = float(np.mean([row[2] for row in each])), bits_of_probabilities(p, right)
    return {
        "n": len(known), "tokens": tokens, "cached": float(np.mean([row[3] for row in each])),
        "TPR": float((p[right] >= 0.5).mean()), "TNR": float((p[~right] < 0.5).mean()),
        "AUC": float(roc_auc_score(right, p)), "AUC neither": auc_against(p[right], neither),
        "bits of the word": bits_of_words(*counts), "bits": bits, "bits per 100 tokens": 100 * bits / tokens,
    }  # fmt: skip


def auc_against(right: Floats, neither: Floats) -> float:
    if not len(neither):
        return float("nan")
    return float(roc_auc_score(np.r_[np.ones(len(right)), np.zeros(len(neither))], np.r_[right, neither]))


COLUMNS = (
    "n",
    "tokens",
    "cached",
    "TPR",
    "TNR",
    "AUC",
    "AUC neither",
    "bits of the word",
    "bits",
    "bits per 100 tokens",
)


def table(model: str, found: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| model | form | " + " | ".join(COLUMNS) + " |"
    yield "|" + "---|" * (len(COLUMNS) + 2)
    for name, row in found.items():
        cells = [f"{row[c]:.0f}" if c in ("n", "tokens", "cached") else f"{row[c]:.3f}" for c in COLUMNS]
        yield f"| {model} | {name} | " + " | ".join(cells) + " |"


class Kept:
    """The answers of this run, and those of earlier runs in the same file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path is not None and path.is_file() else []
        self._known = {tuple(key): Told(**told) for key, told in map(json.loads, lines)}

    def answer(self, key: tuple[str, str, str, int], ask: Callable[[], Told]) -> Told:
        """Return the answer that is known under this key, else ask and keep it."""
        if key not in self._known:
            self._known[key] = ask()
            if self._path is not None:
                with self._path.open("a") as file:
                    file.write(json.dumps([key, vars(self._known[key])]) + "\n")
        return self._known[key]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--server", required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--texts", type=int, default=100, help="each gives a right and a wrong pair")
    parser.add_argument("--neither", type=int, default=100, help="so many texts also give a pair of two wrong labels")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "red-benchmarks")
    options = parser.parse_args()
    limits = {"shots": 10, "least_texts": 11, "most_texts": 12, "pool": 0, "oos": None, "cache": options.cache}
    pairs = questions_of(draw(options.data, 0, argparse.Namespace(**limits)), options.texts)
    pairs = pairs[: 2 * options.texts + options.neither]
    found: dict[str, dict[str, float]] = {}
    kept = Kept(options.json)
    with httpx2.Client(base_url=options.server.rstrip("/") + "/", timeout=600) as client:
        model = options.model or client.get("models").json()["data"][0]["id"]
        for name in options.forms:
            ask = partial(asked, client, model, FORMS[name])
            answers = [
                kept.answer((model, name, kind, question.text), partial(ask, kind, question))
                for kind, question in pairs
            ]
            for requests in range(1, len(answers[0].ps) + 1):
                found[f"{name}, both orders" if requests > 1 else name] = measured(answers, requests)
                print(list(table(model, found))[-1], flush=True)
    print("\n".join(table(model, found)))


if __name__ == "__main__":
    main()
