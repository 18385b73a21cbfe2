"""Novel class discovery on small projects with synthetic vectors, and once on real data."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from red_core.errors import JudgeError, StateError
from red_core.judges.names import LONGEST_NAME, named_by_judge
from red_core.labels.new_labels import propose_clusters
from red_core.review.decisions import decide
from red_core.rounds.run import run_round
from red_core.store.attempts import spent
from red_core.store.database import open_project
from red_core.store.labels import list_labels
from red_core.store.texts import contents
from red_core.store.vectors import forget_vectors, vector_models
from tests.helpers import small_projects
from tests.helpers.fault_server import MODEL, TOKENS, FaultServer, always, chat, honest, refused
from tests.helpers.small_projects import FAST, count, label_ids, pool_rows, small_project

MISSING = ("upgrade", "voucher")
EACH = 20


NOISE = 0.6


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project after a round; its pool has texts of two missing labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_projects, "NOISE", NOISE)
        project = small_project(
            tmp_path_factory.mktemp("made") / "workspace", pool=pool_rows(each=EACH) + pool_rows(MISSING, each=EACH)
        )
        run_round(project, FAST)
    return project


@pytest.fixture
def grown(made, workspace, monkeypatch):
    """A copy of that project."""
    monkeypatch.setattr(small_projects, "NOISE", NOISE)
    shutil.copytree(made.workspace, workspace)
    return open_project(workspace, made.name)


def topic(project, texts):
    """Return the most common first word of these texts, and its count."""
    return Counter(text.split()[0] for text in contents(project, np.array(texts))).most_common(1)[0]


def rows_stored(project):
    tables = ("label", "label_edit", "label_meaning", "decision", "attempt", "proposal", "verdict", "source_row")
    return [count(project, f"SELECT count(*) FROM {table}") for table in tables]


def named(name, meaning="What it means."):
    """Answer the trial of the server honestly, and a group of texts with this name."""
    return writes(json.dumps({"name": name, "meaning": meaning}))


def writes(words):
    """Answer the trial of the server honestly, and a group of texts with these words."""
    return lambda heard: chat(words) if "near_labels" in json.dumps(heard.body) else honest(heard)


# Clusters


def test_the_missing_labels_come_first(grown):
    clusters = propose_clusters(grown)
    assert {topic(grown, cluster.texts)[0] for cluster in clusters[:2]} == set(MISSING)
    for cluster in clusters[:2]:
        assert topic(grown, cluster.texts)[1] >= 0.9 * cluster.size
        assert cluster.size >= EACH / 2


def test_a_cluster_is_named_by_its_words_and_knows_its_nearest_label(grown):
    for cluster in propose_clusters(grown)[:2]:
        word = topic(grown, cluster.texts)[0]
        assert word in " ".join(cluster.words).split()
        assert word in cluster.name.split()
        assert (cluster.named_by, cluster.meaning) == ("", "")
        assert cluster.nearest.name == cluster.near[0]
        assert set(cluster.near) <= set(label_ids(grown))
        assert -1 <= cluster.similarity <= 1
        assert 0 <= cluster.none_belief <= 1


def test_proposing_stores_nothing_and_is_repeatable(grown):
    before = rows_stored(grown)
    assert propose_clusters(grown) == propose_clusters(grown)
    assert rows_stored(grown) == before


def test_no_text_is_in_two_clusters_and_names_are_unlike(grown):
    clusters = propose_clusters(grown)
    texts = [text for cluster in clusters for text in cluster.texts]
    assert len(set(texts)) == len(texts)
    names = [cluster.name.casefold() for cluster in clusters]
    assert len(set(names) | {label.name for label in list_labels(grown)}) == len(names) + len(list_labels(grown))


def test_decided_texts_are_left_out(grown):
    first = propose_clusters(grown)[0]
    for text in first.texts[:3]:
        decide(grown, text, "none", who="tester")
    left = {text for cluster in propose_clusters(grown) for text in cluster.texts}
    assert not left & set(first.texts[:3])
    assert left & set(first.texts[3:])


def test_a_limit_returns_the_best_clusters(grown):
    every = propose_clusters(grown)
    assert propose_clusters(grown, most=1)[0].texts == every[0].texts
    assert propose_clusters(grown, smallest=1_000) == []


def test_features_that_a_round_removes_meanwhile_are_told_in_one_line(grown):
    forget_vectors(grown, vector_models(grown))
    with pytest.raises(StateError, match="a round has finished in the meantime"):
        propose_clusters(grown)


def test_before_the_first_round_there_is_nothing_to_group(project):
    with pytest.raises(StateError, match="no finished round"):
        propose_clusters(project)


def test_a_pool_that_the_labels_explain_has_no_sure_cluster(workspace, monkeypatch):
    monkeypatch.setattr(small_projects, "NOISE", 0.3)
    project = small_project(workspace, pool=pool_rows(each=EACH))
    run_round(project, FAST)
    assert all(cluster.none_belief < 0.5 for cluster in propose_clusters(project))


# Names by the judge


def test_the_judge_names_a_cluster_and_its_tokens_are_stored_as_for_a_meaning(grown):
    clusters = propose_clusters(grown)[:1]
    before = rows_stored(grown)
    with FaultServer(named("Upgrades  wanted", "Asks for a\nbetter plan.")) as server:
        (got,) = named_by_judge(grown, clusters)
    assert (got.name, got.meaning, got.named_by) == ("Upgrades wanted", "Asks for a better plan.", MODEL)
    assert replace(got, name="", meaning="", named_by="") == replace(clusters[0], name="")
    (asked,) = [heard for heard in server.heard if "near_labels" in json.dumps(heard.body)]
    assert asked.state["near_labels"] == list(clusters[0].near)
    assert asked.state["texts"] == contents(grown, np.array(clusters[0].texts[:12]))
    assert count(grown, "SELECT count(*) FROM attempt WHERE purpose = 'meaning'") == 1
    assert spent(grown).tokens == 3 * sum(TOKENS)  # two pairs of the trial, and the group
    assert [a - b for a, b in zip(rows_stored(grown), before, strict=True)].count(0) == len(before) - 1


def test_names_that_are_taken_get_a_number(grown):
    with FaultServer(named("Refund")):
        got = named_by_judge(grown, propose_clusters(grown)[:2])
    assert [cluster.name for cluster in got] == ["Refund 2", "Refund 3"]


def test_a_long_name_is_cut_and_one_that_cannot_be_seen_is_not_taken(grown):
    clusters = propose_clusters(grown)[:1]
    with FaultServer(named("very " * 50)):
        assert len(named_by_judge(grown, clusters)[0].name) <= LONGEST_NAME
    with FaultServer(named("\u200b \u202e")):
        assert named_by_judge(grown, clusters) == clusters


def test_a_reply_without_a_readable_name_is_an_error(grown):
    clusters = propose_clusters(grown)[:1]
    with FaultServer(writes("I would call it upgrades.")), pytest.raises(JudgeError, match="no name came"):
        named_by_judge(grown, clusters)
    with FaultServer(always(refused(401))), pytest.raises(JudgeError, match="OPENAI_API_KEY"):
        named_by_judge(grown, clusters)


def test_no_clusters_need_no_name(grown):
    with FaultServer(named("never")) as server:
        assert named_by_judge(grown, []) == []
    assert not server.heard


# Real data


@pytest.mark.data
@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_labels_taken_out_of_real_seeds_come_back_as_clusters(shared_data, tmp_path):
    from benchmarks.growth import data_set, found_labels, options_of  # noqa: PLC0415  reads vectors of a whole set

    path = shared_data / "clinc150.csv.gz"
    options = options_of([str(path)])
    result = found_labels(data_set(path, options.cache), 0, options, tmp_path)
    assert result.clusters <= 40
    assert len(result.ranks) >= 12
