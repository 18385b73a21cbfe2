"""Time a model folder and its service: ``python -m benchmarks.serving FOLDER DATA.csv[.gz]`` (text,label).

Prints the seconds until a fresh process has loaded the folder and labelled a text, and its memory; the median of one
text beside the encoder alone; the share of the bare encoder's speed in batches of 64; and what a service on loopback
answers to so many connections for so many seconds. With ``--predictor WORKSPACE NAME``, the labels are compared with
those of `red predict`. Speeds are taken in turns, in one process, in processor seconds and by the clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa

from red_core import RedClassifier
from red_core.encoders import encode
from red_core.records import Project
from red_core.results.predictor import labelled, make_predictor
from red_core.settings import DEFAULT_MODEL
from red_core.store.database import open_project
from red_core.store.texts import contents
from red_core.store.vectors import load_vectors, with_vector
from red_core.text import normalise_text
from red_core.training import features

PROGRAM = """
import resource, sys, time
begun, processor = time.perf_counter(), time.process_time()
from red_core import RedClassifier
model = RedClassifier.from_folder(sys.argv[1])
model.predict([sys.argv[2]])
print(time.perf_counter() - begun, time.process_time() - processor,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def start(folder: Path, text: str) -> None:
    """Print how long a fresh process takes until its first answer, and its peak memory."""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder), text], capture_output=True, text=True, check=True
        )
        wall, processor, memory = map(float, done.stdout.split())
        print(f"start to first answer: {wall:.1f} s, {processor:.1f} processor s, {memory:.0f} MB", flush=True)


def medians(calls: dict[str, Callable[[str], object]], texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the median milliseconds of one call, by the clock and of the processor; the calls take turns."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for text in texts:
        for name, call in calls.items():
            wall, processor = time.perf_counter(), time.process_time()
            call(text)
            seen[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: tuple(1000 * np.median(np.array(each), axis=0)) for name, each in seen.items()}


def one_text(model: RedClassifier, texts: Sequence[str]) -> None:
    name, one = model.encoder, "RedClassifier"
    calls: dict[str, Callable[[str], object]] = {"the encoder alone": lambda text: encode(name, [text])}
    calls[one] = lambda text: model.predict([text])
    found = medians(calls, texts)
    for what, (wall, processor) in found.items():
        print(f"one text, {what}: p50 {wall:.1f} ms, {processor:.1f} processor ms", flush=True)
    ratios = np.array(found[one]) / np.array(found["the encoder alone"])
    print(f"one text, ratio: {ratios[0]:.2f}, of processor time {ratios[1]:.2f}", flush=True)


def batches(model: RedClassifier, texts: Sequence[str]) -> None:
    """Print the share of the encoder's own speed in batches of 64, in turns."""
    spent = {"encoder": 0.0, "classifier": 0.0}
    for begin in range(0, len(texts), 64):
        batch = list(texts[begin : begin + 64])
        for name, call in (("encoder", lambda b: encode(model.encoder, b)), ("classifier", model.predict)):
            processor = time.process_time()
            call(batch)
            spent[name] += time.process_time() - processor
    share = spent["encoder"] / spent["classifier"]
    speed = len(texts) / spent["classifier"]
    print(f"batches of 64: {share:.2f} of the bare encoder, {speed:.0f} texts per processor s", flush=True)


async def connection(
    client: httpx.AsyncClient, texts: Sequence[str], end: float, seen: list[tuple[float, int]]
) -> None:
    """Ask for one text after another until the end."""
    for text in cycle(texts):
        if time.monotonic() > end:
            return
        begun = time.perf_counter()
        try:
            answer = await client.post("/predict", json={"texts": [text]})
            code = answer.status_code if answer.status_code != 200 or answer.json()[0]["label"] else -1
        except httpx.HTTPError:
            code = 0
        seen.append((time.perf_counter() - begun, code))


async def load(address: str, texts: Sequence[str], connections: int, seconds: float) -> list[tuple[float, int]]:
    """Return (seconds, status) of every request; 0 for a broken connection."""
    seen: list[tuple[float, int]] = []
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=120) as client:
        end = time.monotonic() + seconds
        own = [texts[number::connections] for number in range(connections)]
        await asyncio.gather(*(connection(client, each, end, seen) for each in own))
    return seen


def service(folder: Path, texts: Sequence[str], connections: int, seconds: float) -> None:
    """Start ``red serve-model`` on a loopback port, load it, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = "from red_core.cli import main; main()"
    begun = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-c", program, "serve-model", str(folder), "--port", str(port)],
        stderr=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_healthy(address)
        print(f"service: {time.perf_counter() - begun:.1f} s until it answers", flush=True)
        seen = asyncio.run(load(address, texts, connections, seconds))
        times = np.array([each for each, _ in seen])
        codes = pd.Series([code for _, code in seen]).value_counts().to_dict()
        memory = int(Path(f"/proc/{server.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
        print(
            f"service, {connections} connections for {seconds:.0f} s: {len(seen):,} answers ({json.dumps(codes)}), "
            f"{len(seen) / seconds:.0f} per second, p50 {np.median(times):.2f} s, "
            f"p95 {np.quantile(times, 0.95):.2f} s, peak memory {memory:.0f} MB",
            flush=True,
        )
        assert set(codes) == {200}, codes
    finally:
        server.terminate()
        server.wait(20)


def wait_until_healthy(address: str) -> None:
    for _ in range(1200):
        try:
            if httpx.get(f"{address}/health").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise SystemExit("the service does not answer")


def use_vectors_of(project: Project) -> None:
    """Let every text that the project has keep its stored vector, so that it is not embedded twice."""
    ids = with_vector(project, DEFAULT_MODEL)
    known = dict(zip(contents(project, ids), load_vectors(project, DEFAULT_MODEL, ids), strict=True))
    features.encode = lambda model, texts: np.stack(
        [known[text] if text in known else encode(model, [text])[0] for text in texts]
    )


def compare(model: RedClassifier, frame: pd.DataFrame, workspace: Path, name: str, count: int) -> None:
    """Print the share of texts with the same label as `red predict`, and both accuracies."""
    frame = frame.iloc[:count]
    use_vectors_of(project := open_project(workspace, name))
    predictor = make_predictor(project)
    texts = frame["text"].tolist()
    given = labelled(predictor, pa.table({"text": texts}), "text")["label"].to_pylist()
    whole = [label or "none of these" for label in given]
    taken = model.predict(texts).tolist()
    same = np.mean([a == b for a, b in zip(whole, taken, strict=True)])
    truth = frame["label"].tolist()
    right = [np.mean([a == b for a, b in zip(each, truth, strict=True)]) for each in (whole, taken)]
    print(f"same label as red predict: {same:.4f} of {len(texts):,} texts; accuracy {right[0]:.4f} and {right[1]:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--texts", type=int, default=20_000, help="that are compared with red predict")
    parser.add_argument("--timed", type=int, default=512, help="texts that speeds are taken from")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--predictor", nargs=2, metavar=("WORKSPACE", "NAME"))
    options = parser.parse_args()
    frame = pd.read_csv(options.data, dtype=str).dropna(subset=["text", "label"])
    frame["text"] = frame["text"].map(normalise_text)
    frame = frame.drop_duplicates("text").sample(frac=1, random_state=0)
    texts = frame["text"].tolist()[: options.timed]
    model = RedClassifier.from_folder(options.folder)
    if options.timed:
        start(options.folder, texts[0])
        one_text(model, texts[:200])
        batches(model, texts)
    if options.seconds:
        service(options.folder, texts, options.connections, options.seconds)
    if options.predictor:
        compare(model, frame, Path(options.predictor[0]), options.predictor[1], options.texts)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
