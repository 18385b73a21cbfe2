"""Two stages of ``benchmarks.speed``: import and export, and embedding."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import synthetic
from benchmarks.timing import Figures, timed
from red_core.data import import_files
from red_core.data.tables import text_id
from red_core.encoders import EncoderSpec
from red_core.encoders.loading import SentenceTransformers
from red_core.results import export
from red_core.settings import DEFAULT_MODEL
from red_core.store.database import create_project, open_project
from red_core.store.texts import SourceFile, SourceRow, add_sources, facts, remember
from red_core.training import embed_missing


def file_stage(options: argparse.Namespace) -> Figures:
    """Import a file of the pool's size without embedding; open the project; export every row as CSV and as JSONL."""
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        workspace, rng = Path(folder) / "workspace", np.random.default_rng(0)
        words = rng.choice(synthetic.WORDS, (options.pool, 12))
        texts = [f"{' '.join(row)} number {n}" for n, row in enumerate(words)]
        pd.DataFrame({"text": texts}).to_csv(Path(folder) / "pool.csv", index=False)
        names = [f"label {n % options.labels:04d}" for n in range(10 * options.labels)]
        seeds = [f"{' '.join(row)} seed {n}" for n, row in enumerate(rng.choice(synthetic.WORDS, (len(names), 12)))]
        pd.DataFrame({"text": seeds, "label": names}).to_csv(Path(folder) / "seeds.csv", index=False)
        import_files(workspace, "speed", labelled=Path(folder) / "seeds.csv", embedding="synthetic", who="benchmark")
        with timed(figures, "import of the pool"):
            import_files(workspace, "speed", pool=Path(folder) / "pool.csv", who="benchmark")
        with timed(figures, "open the project, count its texts"):
            project = open_project(workspace, "speed")
            facts(project)
        for kind in ("csv", "jsonl"):
            with timed(figures, f"export as {kind}"):
                export(project, Path(folder) / f"out.{kind}")
    return figures


def embedding_stage(_: argparse.Namespace) -> Figures:
    """Compare the product's embedding with bare ``SentenceTransformer.encode`` on the same 2,000 texts, in turn."""
    figures: Figures = {}
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 60, size=2_000)  # words per text, as varied as in real texts
    texts = [f"{' '.join(rng.choice(synthetic.WORDS, size))} number {n}" for n, size in enumerate(lengths)]
    model = SentenceTransformers(EncoderSpec(DEFAULT_MODEL)).model
    model.encode(texts[:64])
    bare, product = [], []
    for _ in range(3):
        with timed(figures, "bare encode"):
            model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        bare.append(figures["bare encode"])
        with tempfile.TemporaryDirectory() as folder:
            project = create_project(Path(folder), "speed")
            remember(project, "embedding", DEFAULT_MODEL)
            rows = [SourceRow(n, text_id(text), text) for n, text in enumerate(texts, start=2)]
            add_sources(project, [(SourceFile("pool.csv", "1" * 64, "pool", "text", None, ()), rows)], "benchmark")
            with timed(figures, "embed_missing"):
                embed_missing(project, DEFAULT_MODEL, lambda _done, _total: None)
        product.append(figures["embed_missing"])
    figures["texts per second"] = len(texts) / min(product)
    figures["bare encode / embed_missing"] = min(bare) / min(product)
    return figures
