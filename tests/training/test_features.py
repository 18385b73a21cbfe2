from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from red_core.data.importing import import_files
from red_core.errors import StoreError
from red_core.labels.new_labels import propose_clusters
from red_core.records import Project
from red_core.results.predictor import make_predictor
from red_core.rounds.run import run_round
from red_core.settings import RECOMMENDED
from red_core.steps.neighbour_features import NEAREST, Neighbourhood
from red_core.store.arrays import save_arrays
from red_core.store.health import database_faults, vector_faults
from red_core.store.rounds import best_beliefs, close_round
from red_core.store.vectors import append_vectors, vector_dimensions, vector_file, vector_models, with_vector
from red_core.training.features import Features, forget_unused, prepare_lexical, prepare_neighbours, wants_neighbours
from red_core.training.model import load_model, model_file
from tests.helpers.dense_neighbours import as_version_0_1_stored_it
from tests.helpers.small_projects import DIMENSIONS, EMBEDDING, FAST, embed, pool_rows, write_csv

WORDS = FAST.model_copy(update={"lexical_dimensions": 4, "neighbour_weights": (1.0,)})


def quiet(_done: int, _total: int) -> None:
    pass


def grown(project: Project, texts: int) -> Project:
    """Return the project with more texts to label."""
    rows = [(f"{text} again",) for text, _ in pool_rows(each=texts // 4)]
    file = write_csv(project.workspace.with_name("more.csv"), ["text"], rows)
    import_files(project.workspace, project.name, pool=file, who="ann")
    return embed(project)


def vector_files(project: Project) -> set[str]:
    return {path.name for path in project.folder.glob("vectors-*")}


def test_names_that_only_begin_like_ours_are_not_taken_for_ours(project):
    texts = with_vector(project, EMBEDDING)
    save_arrays(project.folder / "lexical-4-0-old.npz", seen=np.arange(3))
    for kind in ("near", "nearest"):
        stray = f"{kind}-{EMBEDDING}-embedding-0.5-old"
        append_vectors(project, stray, texts, np.zeros((len(texts), DIMENSIONS)))
    settings = FAST.model_copy(update={"lexical_dimensions": 4})
    assert prepare_lexical(project, settings, texts, quiet) == "lexical-4-0-56"
    features = Features(EMBEDDING, "", 0.5)
    name = prepare_neighbours(project, settings, features, texts, 50, quiet)
    assert name == f"nearest-{EMBEDDING}-embedding-0.5-56"
    forget_unused(project, features)
    assert set(vector_models(project)) == {EMBEDDING, f"near-{stray[8:]}", stray}


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_stored_neighbours_give_the_features_that_the_search_gave_to_the_bit(project, weight):
    texts = with_vector(project, EMBEDDING)
    plain = Features(EMBEDDING, prepare_lexical(project, WORDS, texts, quiet), 0.5)
    name = prepare_neighbours(project, WORDS, plain, texts, 50, quiet)
    assert vector_dimensions(project)[name] == 2 * NEAREST
    features = replace(plain, neighbours=name, neighbour_weight=weight)
    own = plain.of(project, texts)
    wanted = np.hstack([own, np.float32(weight) * Neighbourhood(own).means(own)])
    assert np.array_equal(features.of(project, texts), wanted)
    read, some = features.reader(project), np.array([3, 50, 7])
    assert np.array_equal(read(texts[some]), wanted[some])
    assert np.array_equal(features.of(project, texts[some]), wanted[some])


def test_a_project_of_an_earlier_version_is_read_as_it_was_and_goes_on(project):
    run_round(project, WORDS)
    of_now, labels = load_model(model_file(project, 1)).features, best_beliefs(project, 1)
    texts = with_vector(project, EMBEDDING)
    wanted = of_now.of(project, texts)
    name = as_version_0_1_stored_it(project)
    earlier = load_model(model_file(project, 1)).features
    assert earlier.neighbours == name
    assert np.array_equal(earlier.of(project, texts), wanted)
    assert np.array_equal(earlier.reader(project)(texts), wanted)
    propose_clusters(project)
    make_predictor(project)
    close_round(project)
    run_round(project, WORDS)
    assert load_model(model_file(project, 2)).features.neighbours == name.replace("near-", "nearest-")
    assert vector_file(project, name).name not in vector_files(project)
    assert name not in vector_dimensions(project)
    assert best_beliefs(project, 2) == labels
    assert database_faults(project) + vector_faults(project) == []


def test_what_a_project_outgrew_is_removed(project):
    run_round(project, WORDS)
    before = load_model(model_file(project, 1)).features
    close_round(project)
    run_round(grown(project, 80), WORDS)
    after = load_model(model_file(project, 2)).features
    assert {before.lexical, before.neighbours}.isdisjoint({after.lexical, after.neighbours})
    kept = {after.embedding, after.lexical, after.neighbours}
    assert set(vector_models(project)) == kept
    assert vector_files(project) == {vector_file(project, name).name for name in kept}
    assert [path.stem for path in project.folder.glob("lexical-*")] == [after.lexical]
    assert database_faults(project) + vector_faults(project) == []
    propose_clusters(project)
    make_predictor(project)


def test_neighbours_of_a_round_that_is_gone_are_an_error_of_one_line(project):
    run_round(project, WORDS)
    features = load_model(model_file(project, 1)).features
    forget_unused(project, replace(features, neighbours=""))
    with pytest.raises(StoreError, match=r"were replaced by a newer round. Try again"):
        features.of_new(project)


@pytest.mark.parametrize(("labels", "wanted"), [(30, False), (31, True)])
def test_a_project_with_a_background_uses_no_neighbours(labels, wanted):
    assert wants_neighbours(RECOMMENDED, labels) is wanted
    assert wants_neighbours(RECOMMENDED.model_copy(update={"background_labels": 0}), labels)
