"""The quality benchmark with another encoder: its vectors, its cache and its project are those of that encoder."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import Row, goals, project_of, questions_to
from benchmarks.trial import draw, embedded
from red_core.encoders import encode
from red_core.settings import DEFAULT_MODEL
from red_core.store.vectors import load_vectors, with_vector
from red_core.training.encoder_choice import encoder_of
from tests.helpers.hub import save_tiny_encoder
from tests.helpers.small_projects import LABELS, fake_encode, pool_rows, write_csv


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the default model give vectors of 24 numbers at once; the tiny one gives its own, of 16."""

    def encoded(line: str, texts: list[str]) -> np.ndarray:
        return fake_encode(line, texts) if line == DEFAULT_MODEL else encode(line, texts)

    monkeypatch.setattr("benchmarks.trial.encode", encoded)


def test_a_cache_of_vectors_is_that_of_its_encoder(tmp_path: Path) -> None:
    tiny = str(save_tiny_encoder(tmp_path / "tiny", [*LABELS]))
    texts = [text for text, _ in pool_rows(each=2)]
    sizes = [embedded(texts, tmp_path / "cache", *encoder).shape[1] for encoder in ((), (tiny,), (), (tiny,))]
    assert sizes == [24, 16, 24, 16]
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("tiny", [True, False])
def test_a_trial_uses_the_encoder_of_its_draw(tiny: bool, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "data.csv", ["text", "label"], pool_rows(each=4))
    line = str(save_tiny_encoder(tmp_path / "tiny", [*LABELS])) if tiny else DEFAULT_MODEL
    options = argparse.Namespace(
        shots=2, least_texts=3, most_texts=100, pool=100, oos=None, cache=tmp_path / "cache",
        **({"encoder": line} if tiny else {}),
    )  # fmt: skip
    project = project_of(draw(data, 0, options), tmp_path / "workspace")
    assert encoder_of(project) == line
    assert load_vectors(project, line, with_vector(project, line)).shape == (16, 16 if tiny else 24)


def test_the_questions_to_a_goal_are_read_between_the_points_of_a_curve() -> None:
    points = [(0.0, 0.90, None), (0.2, 0.94, 60.0), (0.4, 0.98, 120.0)]
    curve = [
        Row(
            "set", 0, "product", "judge", at, agreement, None, None, None, stopped=False, seconds=0.0, tokens_per_text=t
        )
        for at, agreement, t in points
    ]
    assert questions_to(0.96, curve) == pytest.approx(0.3)
    assert questions_to(0.98, curve) == pytest.approx(0.4)
    assert np.isnan(questions_to(0.99, curve))
    assert list(goals(curve, 0.96)) == [
        "set, draw 0, product, judge: 0.96 after 0.300 questions and 90 tokens per text"
    ]
