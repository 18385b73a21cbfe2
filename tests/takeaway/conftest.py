"""A project with one round and its model folder, made once; the embedding model is the tests' own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from red_core.encoders import EncoderSpec
from red_core.records import Project
from red_core.rounds.run import run_round
from red_core.takeaway import encoder
from red_core.takeaway.export_model import export_model
from red_core.training import features, from_texts
from tests.helpers.small_projects import DIMENSIONS, EMBEDDING, FAST, fake_encode, small_project

NEAR = FAST.model_copy(update={"lexical_dimensions": 8, "neighbour_weights": (1.0,)})


@pytest.fixture(scope="module")
def own_encoder() -> Iterator[None]:
    """Replace the embedding model by ``fake_encode``; its weights are its name."""

    def loaded(spec: EncoderSpec) -> SimpleNamespace:
        weights = hashlib.sha256(spec.name.encode()).hexdigest()
        return SimpleNamespace(dimensions=DIMENSIONS, weights_sha256=lambda: weights)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "encode", fake_encode)
        patch.setattr(from_texts, "encode", fake_encode)
        patch.setattr(encoder, "loaded_encoder", loaded)
        yield


@pytest.fixture(scope="module")
def rounded_project(own_encoder: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one round."""
    del own_encoder  # it is replaced from here on
    project = small_project(tmp_path_factory.mktemp("model") / "workspace")
    run_round(project, NEAR)
    return project


@pytest.fixture(scope="module")
def folder(rounded_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its model folder; a test that changes it takes a copy."""
    path = tmp_path_factory.mktemp("folder") / "model"
    export_model(rounded_project, path, languages=["en"])
    assert EMBEDDING in (path / "config.json").read_text()
    return path
