"""Fixtures of the tests of backups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from red_core.data.backup import back_up
from red_core.store.arrays import save_arrays
from tests.helpers.small_projects import small_project


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a project that has arrays of every kind, and its backup beside it; tests leave both alone."""
    folder = tmp_path_factory.mktemp("backed up")
    project = small_project(folder / "workspace")
    for name in ("label-names.npz", "lexical-4-0-56.npz", "rounds/1.npz", "map/2-40.npz"):
        save_arrays(project.folder / name, numbers=np.arange(500), name=np.array(name))
    back_up(project, folder / "small.zip")
    return folder
