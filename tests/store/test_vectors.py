from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.data.tables import text_id
from red_core.errors import StoreError
from red_core.records import Project
from red_core.store.database import connection, create_project
from red_core.store.health import vector_faults
from red_core.store.texts import SourceFile, SourceRow, add_sources
from red_core.store.vectors import (
    append_vectors,
    forget_vectors,
    indexed_bytes,
    load_vectors,
    vector_file,
    vector_models,
    without_vector,
)

TEXTS, DIMENSIONS = 40, 3


@contextmanager
def with_texts() -> Iterator[Project]:
    """A project whose texts have the row ids 1 to TEXTS."""
    with tempfile.TemporaryDirectory() as folder:
        project = create_project(Path(folder), "p")
        rows = [SourceRow(number, text_id(f"text {number}"), f"text {number}") for number in range(TEXTS)]
        add_sources(project, [(SourceFile("a.csv", "0" * 64, "pool", "text", None, ()), rows)], "tester")
        yield project


@pytest.fixture
def project() -> Iterator[Project]:
    with with_texts() as made:
        yield made


def random_vectors(count: int, seed: int = 0, dimensions: int = DIMENSIONS) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)


def append(project: Project, ids: list[int], seed: int = 0, model: str = "m") -> dict[int, np.ndarray]:
    vectors = random_vectors(len(ids), seed)
    append_vectors(project, model, np.array(ids, dtype=np.int64), vectors)
    return dict(zip(ids, vectors, strict=True))


def check(project: Project, wanted: dict[int, np.ndarray], seed: int = 0, model: str = "m") -> None:
    if wanted:
        ids = np.random.default_rng(seed).permutation(list(wanted))
        assert load_vectors(project, model, ids).tolist() == [wanted[int(i)].tolist() for i in ids]
    assert without_vector(project, model).tolist() == [i for i in range(1, TEXTS + 1) if i not in wanted]


class CrashError(Exception):
    """Stands for a crash: the bytes are in the file, the index row is not."""


def crash_before_the_index(project: Project, ids: list[int]) -> None:
    fsync = os.fsync

    def crash(_descriptor: int) -> None:
        raise CrashError

    os.fsync = crash
    try:
        append(project, ids, seed=99)
    except CrashError:
        pass
    finally:
        os.fsync = fsync


STEPS = st.lists(
    st.tuples(st.just("append"), st.integers(1, 5))
    | st.tuples(st.just("crash"), st.integers(1, 5))
    | st.tuples(st.just("garbage"), st.integers(1, 50)),
    max_size=12,
)


@given(STEPS, st.randoms(use_true_random=False))
def test_vectors_read_back_right_whatever_crashes_came_between(steps, random):
    with with_texts() as project:
        wanted: dict[int, np.ndarray] = {}
        for number, (step, size) in enumerate(steps):
            free = [i for i in range(1, TEXTS + 1) if i not in wanted]
            chosen = random.sample(free, min(size, len(free)))
            if step == "garbage":
                with vector_file(project, "m").open("ab") as file:
                    file.write(b"\xff" * size)
            elif step == "crash" and chosen:
                crash_before_the_index(project, chosen)
            elif chosen:
                wanted |= append(project, chosen, seed=number)
            check(project, wanted, seed=number)


@given(st.integers(1, 30))
def test_bytes_of_a_crash_are_written_over_and_cut_off(size):
    with with_texts() as project:
        append(project, [1, 2])
        with vector_file(project, "m").open("ab") as file:
            file.write(b"\x7f" * size)
        append(project, [3])
        assert vector_file(project, "m").stat().st_size == 3 * DIMENSIONS * 4


def test_a_crash_before_the_first_index_row_costs_nothing(project):
    crash_before_the_index(project, [1, 2, 3])
    check(project, {})
    check(project, append(project, [3, 1]))


def test_texts_may_be_appended_in_any_order(project):
    check(project, append(project, [9, 2, 30, 1]))


def test_models_keep_their_vectors_apart(project):
    one, other = append(project, [1, 2], seed=1, model="one"), append(project, [2], seed=2, model="other")
    check(project, one, model="one")
    check(project, other, model="other")


def test_the_name_of_a_model_cannot_lead_out_of_the_project(project):
    assert vector_file(project, "../../up/m").parent == project.folder


def test_no_ids_give_no_vectors_of_the_right_width(project):
    nothing = np.zeros(0, dtype=np.int64)
    assert load_vectors(project, "m", nothing).shape == (0, 0)
    append(project, [1])
    assert load_vectors(project, "m", nothing).shape == (0, DIMENSIONS)


@pytest.mark.parametrize("missing", [1, 3, 99])
def test_a_text_without_a_vector_is_a_key_error(missing, project):
    append(project, [2])
    with pytest.raises(KeyError, match="without a vector"):
        load_vectors(project, "m", np.array([2, missing]))


def test_a_second_vector_of_one_text_is_refused_and_the_first_stays(project):
    first = append(project, [1, 2])
    with pytest.raises(Exception, match="UNIQUE"):
        append(project, [3, 2], seed=1)
    check(project, first)


def test_the_file_holds_no_more_than_the_index_knows(project):
    append(project, [1, 2, 3])
    with connection(project) as db:
        stored = db.execute("SELECT count(*), max(row) FROM vector").fetchone()
    assert stored == (3, 2)
    assert vector_file(project, "m").read_bytes() == random_vectors(3).tobytes()


def lose(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    os.truncate(file, 5)


@pytest.mark.parametrize("damage", [lose, cut])
def test_a_missing_or_short_vector_file_is_refused_in_one_line(damage, project):
    append(project, [1, 2])
    damage(vector_file(project, "m"))
    with pytest.raises(StoreError) as caught:
        load_vectors(project, "m", np.array([1]))
    assert "\n" not in str(caught.value)


def test_forgotten_vectors_are_gone_and_the_others_stay(project):
    wanted = append(project, [1, 2, 3])
    append(project, [1, 2, 3], seed=1, model="old")
    forget_vectors(project, ["old"])
    assert vector_models(project) == ["m"]
    assert not vector_file(project, "old").exists()
    check(project, wanted)
    check(project, append(project, [4, 2], seed=2, model="old"), model="old")


def test_a_kill_while_vectors_are_forgotten_is_made_good_the_next_time(project, monkeypatch):
    wanted = append(project, [1, 2, 3])
    append(project, [1, 2, 3], seed=1, model="old")

    def crash(_path: Path) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", crash)
        with pytest.raises(CrashError):
            forget_vectors(project, ["old"])
    assert vector_faults(project) == []
    assert vector_file(project, "old").exists()
    check(project, wanted)
    forget_vectors(project, [])
    assert not vector_file(project, "old").exists()
    check(project, wanted)


def test_vectors_that_a_round_removes_meanwhile_are_no_damage(project, monkeypatch):
    append(project, [1, 2, 3])
    append(project, [1, 2, 3], seed=1, model="old")
    index = indexed_bytes(project)
    forget_vectors(project, ["old"])
    seen = iter([index])
    monkeypatch.setattr("red_core.store.health.indexed_bytes", lambda p: next(seen, None) or indexed_bytes(p))
    assert vector_faults(project) == []
