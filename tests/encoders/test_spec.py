"""The line that names an encoder: what is written is read back; nothing else is taken for a parameter."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_core.encoders import CATALOGUE, EncoderSpec, known_encoder, parse_spec
from red_core.encoders.catalogue import UNIVERSAL, completed, is_here
from red_core.errors import EmbeddingError
from red_core.settings import DEFAULT_MODEL

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).filter(
    lambda name: name.strip() == name and "=" not in name
)


@given(
    NAMES,
    st.text("0123456789abcdef", max_size=40),
    st.text(max_size=20),
    st.sampled_from(["float32", "bfloat16", "int8"]),
)
def test_an_encoder_is_read_as_it_was_written(name: str, revision: str, prefix: str, precision: str) -> None:
    spec = EncoderSpec(name, revision, prefix, precision)  # type: ignore[arg-type]
    assert parse_spec(str(spec)) == spec


@given(NAMES)
def test_a_name_alone_stays_what_it_is(name: str) -> None:
    assert str(parse_spec(name)) == name


def test_a_question_mark_can_be_part_of_a_folder() -> None:
    assert parse_spec("/models/which one?").name == "/models/which one?"
    assert parse_spec("/models/a?b=c").name == "/models/a?b=c"


@pytest.mark.parametrize("line", ["", "  ", "?prefix=a", "model?precision=int4"])
def test_a_line_without_a_name_or_with_an_unknown_precision_is_refused(line: str) -> None:
    with pytest.raises(EmbeddingError):
        parse_spec(line)


def test_a_known_model_gets_its_full_name_and_prefix() -> None:
    assert completed(EncoderSpec("Multilingual-E5-small")) == EncoderSpec(
        "intfloat/multilingual-e5-small", prefix="query: "
    )
    assert completed(EncoderSpec("intfloat/multilingual-e5-small", prefix="passage: ")).prefix == "passage: "
    assert completed(EncoderSpec("someone/else")) == EncoderSpec("someone/else")


def test_a_folder_named_like_a_known_model_stays_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bge-m3").mkdir()
    assert completed(EncoderSpec("bge-m3")) == EncoderSpec("bge-m3")


def test_the_titles_and_names_of_the_catalogue_are_unique() -> None:
    assert len({known.title for known in CATALOGUE}) == len({known.spec for known in CATALOGUE}) == len(CATALOGUE)
    assert all(known_encoder(known.spec.name.upper(), known.spec.precision) is known for known in CATALOGUE)


def test_a_precision_without_an_entry_of_its_own_is_that_of_the_model() -> None:
    assert known_encoder(DEFAULT_MODEL, "bfloat16") is known_encoder(DEFAULT_MODEL)
    assert known_encoder("bge-m3", "int8") is known_encoder("bge-m3")
    assert known_encoder("unknown", "int8") is None
    assert completed(EncoderSpec(DEFAULT_MODEL.upper(), precision="int8")).precision == "int8"


def test_what_is_installed_or_a_folder_is_here_and_a_model_of_the_hub_is_not(tmp_path: Path) -> None:
    assert is_here(DEFAULT_MODEL)
    assert is_here(UNIVERSAL)
    assert is_here(str(tmp_path))
    assert not is_here("nobody/has-this-model")
    assert not is_here("not a name of the hub, / at all")
