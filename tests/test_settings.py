import json

import joblib
import numpy as np
import pytest
from joblib.parallel import ThreadingBackend

from red_core.errors import SettingsError
from red_core.rounds.run import run_round
from red_core.settings import ARTICLE, PRESETS, RECOMMENDED, Settings, make_settings
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.rounds import close_round
from red_core.training.fit import fitting_on, load_model, model_file
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


@pytest.mark.parametrize("change", [{"regularisation": []}, {"regularisation": "strong"}, {"judge": "oracle"}])
def test_an_error_names_the_setting_that_is_out_of_range(change):
    with pytest.raises(SettingsError, match=next(iter(change))):
        make_settings(changes=change)


def test_a_model_of_version_0_1_0_still_predicts(project):
    run_round(project, FAST.model_copy(update={"neighbour_weights": (), "regularisation": (30.0,)}))
    path = model_file(project, 1)
    arrays = load_arrays(path)
    embedding, lexical, _, recipe = arrays.pop("words")
    old = {name: value for name, value in arrays.items() if name != "numbers"}
    save_arrays(path, **old, words=np.array([embedding, lexical, recipe]), lexical_weight=np.array(0.5))
    model = load_model(path)
    assert (model.features.near, model.features.lexical_weight, model.regularisation) == ("", 0.5, 30.0)


def test_a_registered_joblib_backend_fits_if_a_setting_names_it(project):
    submitted = []

    class Counting(ThreadingBackend):
        def submit(self, func, callback=None):
            submitted.append(func)
            return super().submit(func, callback)

    joblib.register_parallel_backend("counting", Counting)
    fast = FAST.model_copy(update={"most_questions": 0, "most_confirmations": 0})
    run_round(project, fast)
    assert not submitted
    close_round(project)
    run_round(project, fast.model_copy(update={"fit_backend": "counting", "most_refitted": 0.0, "random_state": 1}))
    assert submitted
    load_model(model_file(project, 2))


@pytest.mark.parametrize("backend", ["nonsense", "threading:tcp://127.0.0.1:9"])
def test_an_unknown_backend_is_refused_in_one_line(backend):
    with pytest.raises(SettingsError, match=f"setting fit_backend: .*got '{backend}'"), fitting_on(backend):
        pass
