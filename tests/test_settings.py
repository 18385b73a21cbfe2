import json

import pytest
from pydantic import ValidationError

from red_core.errors import SettingsError, StoreError
from red_core.results.predictor import make_predictor
from red_core.rounds.run import run_round
from red_core.settings import ARTICLE, PRESETS, RECOMMENDED, Settings, make_settings
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.database import connection
from red_core.store.rounds import close_round
from red_core.training import load_model, model_file
from tests.helpers.small_projects import FAST


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_being_stored(preset):
    assert Settings.model_validate_json(PRESETS[preset].model_dump_json()) == PRESETS[preset]


def test_settings_stored_by_version_0_1_0_can_be_read():
    stored = json.loads(RECOMMENDED.model_dump_json()) | {"regularisation": 30.0}
    del stored["neighbour_weights"]
    assert Settings.model_validate_json(json.dumps(stored)).regularisation == (30.0,)


def test_a_single_number_is_read_as_a_list_of_one():
    assert make_settings(changes={"regularisation": 3, "neighbour_weights": 0.5}).neighbour_weights == (0.5,)


def test_the_article_preset_has_no_neighbours_and_no_model_selection():
    assert (ARTICLE.neighbour_weights, len(ARTICLE.regularisation)) == ((), 1)


@pytest.mark.parametrize(
    "change", [{"regularisation": []}, {"regularisation": "strong"}, {"judge": "oracle"}, {"random_state": 2**32}]
)
def test_an_error_names_the_setting_that_is_out_of_range(change):
    with pytest.raises(SettingsError, match=next(iter(change))):
        make_settings(changes=change)


@pytest.mark.parametrize("backend", ["", "loky"])
def test_stored_settings_with_the_removed_setting_can_be_read(backend):
    stored = json.loads(RECOMMENDED.model_dump_json()) | {"fit_backend": backend}
    assert Settings.model_validate_json(json.dumps(stored)) == RECOMMENDED


def test_any_other_unknown_key_of_stored_settings_is_refused():
    stored = json.loads(RECOMMENDED.model_dump_json()) | {"fit_backends": ""}
    with pytest.raises(ValidationError, match="fit_backends"):
        Settings.model_validate_json(json.dumps(stored))


@pytest.mark.parametrize("name", ["fit_backend", "no_such"])
def test_a_removed_or_unknown_setting_cannot_be_set(name):
    with pytest.raises(SettingsError, match=f"there is no setting '{name}'"):
        make_settings(changes={name: ""})


def test_a_project_whose_round_stored_the_removed_setting_runs_its_next_round(project):
    run_round(project, FAST)
    close_round(project)
    with connection(project) as db, db.conn:
        db.execute("UPDATE round SET settings = json_set(settings, '$.fit_backend', '')")
    make_predictor(project)
    assert run_round(project, FAST).id == 2
    assert load_model(model_file(project, 2)).extent.fit == "incremental"


def test_a_model_that_stored_less_is_refused_in_one_line_and_the_next_fit_is_full(project):
    run_round(project, FAST)
    close_round(project)
    path = model_file(project, 1)
    arrays = load_arrays(path)
    del arrays["numbers"]
    save_arrays(path, **arrays)
    with pytest.raises(StoreError, match=r"1\.npz was written by a version of R\.E\.D\. that is too old"):
        load_model(path)
    run_round(project, FAST)
    assert load_model(model_file(project, 2)).extent.fit == "full"
