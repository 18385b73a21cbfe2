"""The demo data are what they claim to be: enough, all different, and complete. And the project made of them."""

from __future__ import annotations

import csv
import itertools
import re
import unicodedata
from collections import Counter, defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from red_core.data.demo import make_demo
from red_core.data.tables import text_id
from red_core.records import Project
from red_core.store.database import create_project
from red_core.store.labels import list_labels, set_meanings
from red_core.store.texts import contents, facts, left_out_rows, pool, seeds, truths

NONE = "none_of_these"
FOLDER = Path(str(files("red_core.data.demo")))


def read(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


LABELS, SEEDS, POOL, TRUTH = (read(name) for name in ("labels.csv", "seeds.csv", "pool.csv", "pool_truth.csv"))
NAMES = [row["label"] for row in LABELS]
EVERY_TEXT = [row["text"] for row in [*SEEDS, *POOL]]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


# The data


def test_there_are_at_least_forty_labels():
    assert len(NAMES) >= 40


def test_every_label_is_named_once():
    assert len(set(NAMES)) == len(NAMES)


def test_every_label_has_a_meaning():
    assert [row["label"] for row in LABELS if not row["meaning"].strip()] == []


def test_every_label_has_ten_seeds_or_more():
    counts = Counter(row["label"] for row in SEEDS)
    assert {name: counts[name] for name in NAMES if counts[name] < 10} == {}


def test_every_label_has_ten_texts_in_the_pool_or_more():
    counts = Counter(row["label"] for row in TRUTH)
    assert {name: counts[name] for name in NAMES if counts[name] < 10} == {}


def test_a_few_texts_belong_to_no_label():
    assert 0.03 <= np.mean([row["label"] == NONE for row in TRUTH]) <= 0.05


def test_no_seed_belongs_to_no_label():
    assert {row["label"] for row in SEEDS} == set(NAMES)


def test_every_text_of_the_pool_has_one_truth():
    assert [row["text"] for row in TRUTH] == [row["text"] for row in POOL]
    assert {row["label"] for row in TRUTH} == {*NAMES, NONE}


def test_the_pool_holds_nothing_but_texts():
    assert set(POOL[0]) == {"text"}


def test_no_text_occurs_twice():
    counts = Counter(text_id(text) for text in EVERY_TEXT)
    assert max(counts.values()) == 1


def test_texts_are_stored_as_they_will_be_read():
    assert [text for text in EVERY_TEXT if text != " ".join(unicodedata.normalize("NFC", text).split())] == []


@pytest.mark.parametrize("name", [*NAMES, NONE])
def test_texts_of_one_label_begin_differently(name):
    texts = [row["text"] for row in [*SEEDS, *TRUTH] if row["label"] == name]
    counts = Counter(tuple(words(text)[:3]) for text in texts)
    assert [opening for opening, count in counts.items() if count > 1] == []


def test_no_two_texts_are_nearly_the_same():
    sets = [frozenset(words(text)) for text in EVERY_TEXT]
    near = [
        (EVERY_TEXT[i], EVERY_TEXT[j])
        for i, j in itertools.combinations(range(len(sets)), 2)
        if len(sets[i] & sets[j]) >= 0.6 * len(sets[i] | sets[j])
    ]
    assert near == []


def test_texts_are_of_all_lengths():
    lengths = sorted(len(words(text)) for text in EVERY_TEXT)
    assert lengths[len(lengths) // 10] <= 8
    assert lengths[-len(lengths) // 10] >= 25


def test_no_label_gives_itself_away_in_most_of_its_texts():
    """A label whose name stands in its texts needs no classifier."""
    told: dict[str, list[bool]] = defaultdict(list)
    for row in [*SEEDS, *TRUTH]:
        told[row["label"]].append(row["label"].replace("_", " ") in row["text"].casefold())
    assert {name: sum(found) for name, found in told.items() if sum(found) * 2 > len(found) and "_" in name} == {}


# The project


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_demo(tmp_path_factory.mktemp("demo"))


def test_the_demo_project_holds_all_of_it(demo):
    assert facts(demo) == {
        "rows": len(EVERY_TEXT), "texts": len(EVERY_TEXT), "seeds": len(SEEDS), "pool": len(POOL),
        "labels": len(LABELS), "used": len(EVERY_TEXT), "folded": 0, "left_out": 0, "truths": len(POOL),
    }  # fmt: skip
    assert left_out_rows(demo) == []


def test_the_demo_project_knows_the_truth_of_every_text_in_the_pool(demo):
    true = truths(demo)
    assert dict(zip(contents(demo, np.array(list(true))), true.values(), strict=True)) == {
        row["text"]: row["label"] for row in TRUTH
    }


def test_no_truth_of_the_demo_is_a_seed(demo):
    assert not set(truths(demo)) & set(seeds(demo)[0].tolist())
    assert set(truths(demo)) == set(pool(demo).tolist())


def test_every_label_of_the_demo_project_has_its_meaning(demo):
    assert {label.name: label.meaning for label in list_labels(demo)} == {
        row["label"]: row["meaning"] for row in LABELS
    }


def test_making_the_demo_again_changes_nothing(demo):
    before = facts(demo), list_labels(demo)
    assert make_demo(demo.workspace) == demo
    assert (facts(demo), list_labels(demo)) == before


def test_a_meaning_the_analyst_wrote_stays(workspace):
    made = make_demo(workspace)
    set_meanings(made, {1: "my own words"}, "analyst")
    make_demo(workspace)
    assert list_labels(made)[0].meaning == "my own words"


def test_the_demo_can_have_another_name_and_other_projects_beside_it(workspace):
    create_project(workspace, "mine")
    assert make_demo(workspace, "showroom").name == "showroom"
