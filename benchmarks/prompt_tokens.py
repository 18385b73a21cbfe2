"""Count the tokens of a question: validating one label against a prompt that lists all labels.

``python -m benchmarks.prompt_tokens DATA.csv[.gz]`` uses the embedding model's tokenizer. It counts the real requests
of the judge (3 examples of the suggested label and of its rival), and two prompts that would classify instead: all
label names, and all names with one example each. Some texts are asked about more than once and many not at all, so the
last columns multiply by the questions per text.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from red_core.encoders import EncoderSpec
from red_core.encoders.loading import SentenceTransformers
from red_core.judges.prompt import ANSWER, TASK, prompt_of
from red_core.records import Example, Label, Question
from red_core.settings import DEFAULT_MODEL

CLASSIFY = 'Choose the one label that fits the text. Reply with a JSON object and nothing else: {"label": "..."}.'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--questions-per-text", type=float, default=0.3)
    chosen = parser.parse_args()
    tokenizer = SentenceTransformers(EncoderSpec(DEFAULT_MODEL)).model.tokenizer

    def tokens(text: str) -> int:
        return len(tokenizer(text, truncation=False, add_special_tokens=False, verbose=False)["input_ids"])

    frame = pd.read_csv(chosen.data)
    rng = np.random.default_rng(0)
    by_label = {name: own.tolist() for name, own in frame.groupby("label")["text"] if len(own) >= 5}
    names = rng.permutation(sorted(by_label)).tolist()
    print("labels | validate, a question | names of all | names and 1 example | validate, a text | times cheaper")
    for count in chosen.labels:
        used = names[:count]
        asked = [tokens(f"{TASK}\n\n{ANSWER}\n{prompt_of(question(by_label, used, rng)).message}") for _ in range(200)]
        text = np.mean([tokens(by_label[name][0]) for name in used])
        bare = tokens(CLASSIFY + json.dumps(used)) + text
        with_example = tokens(CLASSIFY + json.dumps({name: by_label[name][1] for name in used})) + text
        each = float(np.mean(asked))
        per_text = each * chosen.questions_per_text
        print(
            f"{len(used):6,} | {each:20,.0f} | {bare:12,.0f} | {with_example:19,.0f} | {per_text:16,.0f} | "
            f"{bare / per_text:5.1f} to {with_example / per_text:5.1f}"
        )


def question(by_label: dict[str, list[str]], names: list[str], rng: np.random.Generator) -> Question:
    own, rival = rng.choice(len(names), 2, replace=False)
    sides = [tuple(Example(0, text, 0.5, "seed") for text in by_label[names[n]][1:4]) for n in (own, rival)]
    labels = [Label(int(n), names[n]) for n in (own, rival)]
    return Question(0, by_label[names[own]][0], *labels, *sides, 0.5, 0.5, "value", 0.1)


if __name__ == "__main__":
    main()
