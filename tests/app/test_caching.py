"""Cached reads of a project: called once per version and arguments, and again after a change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from red_core.records import Project
from red_core.review.decisions import decide
from red_core.store.labels import set_meanings
from red_core.store.texts import pool
from tests.helpers.app_projects import WHO, label_ids
from widgets.shell import reads
from widgets.shell.caching import EDITS, IMPORTS, MEANINGS, cached_read

InState = Callable[..., Project]


class Counter:
    """Counts the calls of two cached functions with the same code."""

    def __init__(self, *positions: int, shared: bool = False) -> None:
        self.calls: list[tuple[object, ...]] = []

        @cached_read(positions or None, shared=shared)
        def first(project: Project, number: int, *, double: bool = False) -> list[int]:
            self.calls.append((project.name, number, double))
            return [2 * number if double else number]

        @cached_read(positions or None, shared=shared)
        def second(project: Project, number: int) -> list[int]:
            self.calls.append((project.name, number))
            return [-number]

        self.first, self.second = first, second


def decide_one(project: Project) -> None:
    decide(project, int(pool(project)[0]), "accept", label=min(label_ids(project).values()), who=WHO)


def edit_a_meaning(project: Project) -> None:
    set_meanings(project, {min(label_ids(project).values()): "another meaning"}, WHO)


@pytest.mark.parametrize("shared", [False, True])
def test_a_read_is_called_once_for_each_version_and_arguments(in_state: InState, shared: bool) -> None:
    project, counter = in_state("to review"), Counter(shared=shared)
    for _ in range(2):
        assert counter.first(project, 1) == [1]
        assert counter.first(project, 2, double=True) == [4]
    assert counter.calls == [(project.name, 1, False), (project.name, 2, True)]
    decide_one(project)
    assert counter.first(project, 1) == [1]
    assert len(counter.calls) == 3


def test_two_reads_do_not_share_their_results(in_state: InState) -> None:
    project, counter = in_state("to review"), Counter()
    assert (counter.first(project, 1), counter.second(project, 1)) == ([1], [-1])


def test_a_read_depends_only_on_its_part_of_the_version(in_state: InState) -> None:
    project, counter = in_state("to review"), Counter(IMPORTS, EDITS, MEANINGS)
    counter.first(project, 1)
    decide_one(project)
    counter.first(project, 1)
    assert len(counter.calls) == 1
    edit_a_meaning(project)
    counter.first(project, 1)
    assert len(counter.calls) == 2


def test_only_a_shared_result_is_the_same_object(in_state: InState) -> None:
    project, copied, shared = in_state("to review"), Counter(), Counter(shared=True)
    assert copied.first(project, 1) is not copied.first(project, 1)
    assert shared.first(project, 1) is shared.first(project, 1)


def test_a_failed_read_is_called_again(in_state: InState) -> None:
    project, answers = in_state("to review"), iter([KeyError("no vector yet"), 7])

    @cached_read()
    def read(_project: Project) -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(KeyError):
        read(project)
    assert (read(project), read(project)) == (7, 7)


def test_the_reads_of_the_pages_follow_a_change(in_state: InState) -> None:
    project = in_state("to review")
    waiting, sources = reads.queue_counts(project)["decided"], reads.source_counts(project)
    meaning = reads.labels(project)[min(label_ids(project).values())].meaning
    decide_one(project)
    edit_a_meaning(project)
    assert reads.queue_counts(project)["decided"] == waiting + 1
    assert reads.source_counts(project) != sources
    assert reads.labels(project)[min(label_ids(project).values())].meaning == "another meaning" != meaning
