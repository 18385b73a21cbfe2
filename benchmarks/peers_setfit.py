"""Train SetFit on a task of ``benchmarks.peers`` and print its figures as JSON; runs in an environment of its own."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", type=Path)
    parser.add_argument("--iterations", type=int, default=20)
    options = parser.parse_args()
    from datasets import Dataset  # noqa: PLC0415  so that --help needs nothing
    from setfit import SetFitModel, Trainer, TrainingArguments  # noqa: PLC0415

    task = json.loads(options.task.read_text())
    data = Dataset.from_dict({"text": task["texts"], "label": task["labels"]})
    model = SetFitModel.from_pretrained(task["encoder"], labels=sorted(set(task["labels"])))
    arguments = TrainingArguments(num_iterations=options.iterations, report_to="none", save_strategy="no")
    begun = time.process_time()
    Trainer(model=model, args=arguments, train_dataset=data).train()
    trained = time.process_time()
    predicted = [str(label) for label in model.predict(task["test"])]
    ms = 1000 * (time.process_time() - trained) / len(task["test"])
    print(json.dumps({"predicted": predicted, "training": trained - begun, "ms": ms}))


if __name__ == "__main__":
    main()
