"""The language of texts: 204 short messages in twelve languages, written for this test, and odd inputs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from red_core.encoders import language_names, languages_of
from red_core.encoders.languages import language_of, stop_words

WRITTEN = list(csv.DictReader(Path(__file__).with_name("languages.csv").read_text("utf-8").splitlines()))
LANGUAGES = sorted({row["language"] for row in WRITTEN})


def test_nine_of_ten_short_texts_are_told_right() -> None:
    right = sum(language_of(row["text"].lower()) == row["language"] for row in WRITTEN)
    assert len(WRITTEN) >= 200
    assert len(LANGUAGES) == 12
    assert right / len(WRITTEN) >= 0.9


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_language_of_a_project_is_the_one_of_its_texts(language: str) -> None:
    texts = [row["text"] for row in WRITTEN if row["language"] == language]
    assert next(iter(languages_of(texts))) == language
    assert next(iter(languages_of([text.upper() for text in texts]))) == language


def test_two_languages_are_both_named_with_their_shares() -> None:
    texts = [row["text"] for row in WRITTEN if row["language"] in {"de", "zh"}]
    assert set(languages_of(texts)) == {"de", "zh"}
    assert languages_of(texts)["de"] == pytest.approx(0.5, abs=0.1)


def test_a_language_of_one_or_two_texts_is_not_named() -> None:
    texts = [
        "where is my parcel please",
        "hola, mi tarjeta no funciona",
        "i lost the card yesterday",
        "refund my order",
    ]
    assert list(languages_of([*texts, "please send it back"])) == ["en"]
    assert languages_of(texts[:2]) == {}


@pytest.mark.parametrize("texts", [[], [""], ["12345", "+++"], ["😀"]])
def test_texts_without_a_letter_have_no_language(texts: list[str]) -> None:
    assert languages_of(texts) == {}


def test_stop_words_are_those_of_the_language() -> None:
    assert {"und", "nicht"} <= stop_words("de")
    assert "nicht" not in stop_words("en")
    assert "the" in stop_words("en")
    assert stop_words("no such language") == frozenset()


def test_languages_in_words() -> None:
    assert language_names([]) == ""
    assert language_names(["de"]) == "German"
    assert language_names(["de", "fr", "th"]) == "German, French and Thai"
