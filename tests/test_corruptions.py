"""Random damage to every kind of file of a project: found in one line, or without any effect on an export."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from red_core.cli.doctor import _project as findings_about
from red_core.errors import RedError
from red_core.records import Project
from red_core.results.exports import export
from red_core.review.decisions import decide
from red_core.store.arrays import save_arrays
from red_core.store.database import open_project
from red_core.store.texts import pool
from tests.helpers.small_projects import reviewed_round, small_project

CORRUPTIONS = 200


def damaged(path: Path, chance: random.Random) -> str:
    """Damage a file in one of four ways; return which."""
    content, kind = bytearray(path.read_bytes()), chance.choice(["bit", "block", "cut", "zeros"])
    place = chance.randrange(len(content))
    if kind == "bit":
        content[place] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del content[place:]
    else:
        length = min(512, len(content) - place)
        content[place : place + length] = bytes(length) if kind == "zeros" else chance.randbytes(length)
    path.write_bytes(content)
    return kind


@pytest.mark.long
@pytest.mark.timeout(900)
def test_random_corruptions_are_found_or_do_not_matter(tmp_path, capsys):
    project = small_project(tmp_path / "workspace")
    texts = pool(project).tolist()
    reviewed_round(project, dict.fromkeys(texts, (1, 0.9)))
    for text in texts[:10]:
        decide(project, text, "accept", label=1, who="ann")
    for name in ("label-names.npz", "rounds/1.npz", "map/pool-1.npz"):
        save_arrays(project.folder / name, numbers=np.arange(500.0))
    export(project, tmp_path / "whole.jsonl")
    files = [
        p.relative_to(project.folder) for p in sorted(project.folder.rglob("*")) if p.suffix in {".db", ".npz", ".f32"}
    ]
    chance, outcomes = random.Random(0), Counter[tuple[str, str]]()  # noqa: S311  no secret
    for number in range(CORRUPTIONS):
        copy = Project(tmp_path / str(number), project.name)
        shutil.copytree(project.folder, copy.folder)
        file = files[number % len(files)]
        damaged(copy.folder / file, chance)
        found = any(each.state == "broken" for each in findings_about(copy))
        try:
            export(open_project(copy.workspace, copy.name), tmp_path / "out.jsonl")
            same = (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
            outcome = "found by doctor" if found else "no effect" if same else "LOST"
        except RedError:
            outcome = "found by doctor" if found else "found by export alone"
        outcomes[file.suffix, outcome] += 1
        shutil.rmtree(copy.workspace)
    with capsys.disabled():
        print(f"\n{CORRUPTIONS} corruptions: {dict(sorted(outcomes.items()))}")  # noqa: T201  the figures of the long run
    assert not [key for key in outcomes if key[1] in {"LOST", "found by export alone"}]
    assert all(outcomes[".f32", outcome] == 0 for outcome in ("no effect",))
