from __future__ import annotations

import gc
import threading

import pytest

from red_core.data.tables import read_table
from red_core.data.tables.many_objects import many_objects
from red_core.errors import InputError


def test_the_search_for_cycles_goes_on_after_a_table_and_after_an_error(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    seen = []
    read_table(tmp_path / "a.csv", progress=lambda _done, _total: seen.append(gc.isenabled()))
    assert seen == [False] * len(seen) != []
    assert gc.isenabled()
    with pytest.raises(InputError):
        read_table(tmp_path / "none.csv")
    assert gc.isenabled()


def test_overlapping_blocks_of_two_threads_turn_it_on_when_the_last_one_ends():
    inside, first_is_over = threading.Event(), threading.Event()

    def second() -> None:
        with many_objects():
            inside.set()
            assert first_is_over.wait(10)

    thread = threading.Thread(target=second)
    with many_objects():
        thread.start()
        assert inside.wait(10)
    assert not gc.isenabled()
    first_is_over.set()
    thread.join(10)
    assert gc.isenabled()
