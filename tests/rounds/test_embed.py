import pytest
from click.testing import CliRunner
from filelock import FileLock

from red_core.cli import main
from red_core.errors import Cancelled, EmbeddingError
from red_core.rounds.embed import embed_texts
from red_core.rounds.worker import LOCK
from red_core.store.texts import ENCODER, remember
from red_core.store.vectors import with_vector
from red_core.training import embeddings
from red_core.training.parts import TRIES, run_here
from tests.helpers.small_projects import EMBEDDING, fake_encode, small_project


@pytest.fixture
def project(workspace, monkeypatch):
    monkeypatch.setattr(embeddings, "encode", fake_encode)
    monkeypatch.setattr(embeddings, "TEXTS_PER_BLOCK", 16)
    made = small_project(workspace)
    remember(made, ENCODER, "another", anew=True)
    return made


def embed(project):
    return CliRunner().invoke(main, ["--workspace", str(project.workspace), "embed", project.name])


def test_the_verb_embeds_what_is_missing_and_then_nothing(project):
    count = len(with_vector(project, EMBEDDING))
    first = embed(project)
    assert first.exit_code == 0, first.output
    assert "texts embedded" in first.stdout
    assert len(with_vector(project, "another")) == count
    assert embed(project).stdout == f"{project.name}: 0 texts embedded\n"


def test_beside_a_running_job_it_is_refused_in_one_line(project):
    with FileLock(project.folder / LOCK):
        shown = embed(project)
    assert shown.exit_code == 1
    assert shown.stderr == f"Error: a job is running in project {project.name}. Wait for it, or cancel it first.\n"
    assert not len(with_vector(project, "another"))


def test_ctrl_c_keeps_whole_blocks_and_says_how_many(project):
    def stop(_stage, done, _total):
        if done == 32:
            raise KeyboardInterrupt

    with pytest.raises(Cancelled, match=r"cancelled: 32 of \d+ texts are embedded and kept"):
        embed_texts(project, stop)
    assert len(with_vector(project, "another")) == 32


def test_an_encoder_that_cannot_be_used_is_not_tried_again(project, monkeypatch):
    tried = []

    def fails(_model, texts):
        tried.append(texts)
        raise EmbeddingError("no such encoder")

    monkeypatch.setattr(embeddings, "encode", fails)
    with pytest.raises(EmbeddingError, match="no such encoder"):
        embed_texts(project, lambda *_: None)
    assert len(tried) == 1


def test_a_part_is_given_up_after_its_last_try_and_the_others_are_done():
    tried = []

    def work(shared, part):
        tried.append(part)
        if part == "bad":
            raise RuntimeError("it broke")
        return shared + part

    done = list(run_here(work, "a ", ["bad", "good"]))
    assert done[1] == ("good", "a good")
    assert str(done[0][1]) == "it broke"
    assert tried == ["bad"] * TRIES + ["good"]
