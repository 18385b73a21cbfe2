from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from red_core.steps import lexical_features
from red_core.steps.lexical_features import CHARACTERS_READ, COLUMNS, LexicalModel, fit_lexical, lexical_vectors

CARDS = [
    "my card has not arrived",
    "the card arrived but it is bent",
    "card card card payment was declined",
    "how do I top up by bank transfer",
    "my transfer is still pending",
    "please close my account",
    "Wo bleibt meine Karte?",
    "¿dónde está mi tarjeta?",
]


def cosines_by_tfidf(texts, others):
    """Cosines of words and characters, half each, by scikit-learn's own vocabulary instead of hashing."""
    total = 0
    for analyzer, ngrams in (("word", (1, 2)), ("char_wb", (3, 5))):
        vectorizer = TfidfVectorizer(
            analyzer=analyzer, ngram_range=ngrams, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b" if analyzer == "word"
            else None,
        )  # fmt: skip
        fitted = vectorizer.fit_transform(texts)
        total = total + (vectorizer.transform(others) @ fitted.T).toarray()
    return total / 2


def test_with_enough_dimensions_the_cosines_are_those_of_tfidf():
    texts = [*CARDS, CARDS[0]]  # one twice: eight dimensions hold all of them

    vectors = lexical_vectors(fit_lexical(texts, 8, random_state=0), texts)

    # Where two n-grams share a hash bucket, a cosine moves by less than 0.01.
    assert vectors @ vectors.T == pytest.approx(cosines_by_tfidf(texts, texts), abs=0.01)


def test_a_new_text_is_weighted_by_the_frequencies_of_the_texts_learned_from():
    texts = [*CARDS, CARDS[0]]
    model = fit_lexical(texts, 8, random_state=0)
    # Of known words only, so that it lies within what was learned as far as it goes.
    new = ["card transfer pending"]

    found = (lexical_vectors(model, new) @ lexical_vectors(model, texts).T)[0]

    wanted = cosines_by_tfidf(texts, new)[0]
    assert found / np.linalg.norm(found) == pytest.approx(wanted / np.linalg.norm(wanted), abs=0.01)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=12), st.integers(1, 10))
@settings(deadline=None, max_examples=40)
@example(["a", "a", "a"], 10)
@example(["\x00", " ", "ﷺ"], 2)
def test_vectors_are_one_long_or_next_to_zero(texts, dimensions):
    model = fit_lexical([*CARDS, *texts], dimensions, random_state=0)

    lengths = np.linalg.norm(lexical_vectors(model, texts), axis=1)

    assert all(abs(length - 1) < 1e-4 or length < 1e-5 for length in lengths)


@pytest.mark.parametrize(("dimensions", "kept"), [(1, 1), (3, 3), (7, 7), (8, 7), (256, 7)])
def test_there_are_the_wanted_dimensions_but_fewer_than_texts(dimensions, kept):
    model = fit_lexical(CARDS, dimensions, random_state=0)

    assert lexical_vectors(model, CARDS).shape == (8, kept)


def test_one_text_can_be_learned_from():
    vectors = lexical_vectors(fit_lexical(["card payment"], 16, random_state=0), ["card payment"])

    assert np.abs(vectors).tolist() == [[pytest.approx(1.0)]]


def test_short_equal_texts_can_be_learned_from():
    vectors = lexical_vectors(fit_lexical(["a"] * 20, 16, random_state=0), ["a"])

    assert np.linalg.norm(vectors) == pytest.approx(1.0, abs=1e-5)


def test_a_text_of_nothing_known_is_the_zero_vector():
    model = fit_lexical(CARDS, 4, random_state=0)

    assert not lexical_vectors(model, ["", "qqqqqqq zzzzzz"]).any()


def test_a_text_unlike_all_that_the_dimensions_hold_is_the_zero_vector():
    # It shares no word and no n-gram with any other text, and four dimensions have no room for it.
    model = fit_lexical([*CARDS, "zzzz"], 4, random_state=0)

    assert lexical_vectors(model, ["zzzz"]) == pytest.approx(0.0, abs=1e-3)


def test_words_are_read_without_regard_to_case():
    model = fit_lexical(CARDS, 4, random_state=0)

    upper, lower = lexical_vectors(model, ["MY CARD", "my card"])

    assert (upper == lower).all()


def test_every_bucket_that_occurred_is_weighed_by_its_document_frequency():
    model = fit_lexical(["alpha", "alpha beta", "alpha alpha"], 2, random_state=0)

    # Word buckets: alpha in 3 of 3 texts; beta, "alpha beta" and "alpha alpha" in one each.
    words = np.sort(model.idf[model.seen < COLUMNS])
    assert words == pytest.approx([1.0, *[np.log(4 / 2) + 1] * 3])


def test_words_and_characters_count_the_same():
    model = fit_lexical(CARDS, 4, random_state=0)
    words, characters = (
        LexicalModel(model.seen, model.idf, np.diag(chosen.astype(np.float32)))
        for chosen in (model.seen < COLUMNS, model.seen >= COLUMNS)
    )
    both = LexicalModel(model.seen, model.idf, np.eye(len(model.seen), dtype=np.float32))

    found = lexical_vectors(both, CARDS)

    for half in (words, characters):
        shared = (found * lexical_vectors(half, CARDS)).sum(axis=1)
        assert shared == pytest.approx(np.sqrt(0.5), abs=1e-5)


def test_texts_about_the_same_are_closer_than_others():
    model = fit_lexical(CARDS, 6, random_state=0)
    arrived, again, closing = lexical_vectors(model, ["card arrived", "the card has arrived", "close account please"])

    assert arrived @ again > 0.5 > arrived @ closing


def test_only_the_beginning_of_a_long_text_counts():
    model = fit_lexical(CARDS, 6, random_state=0)
    beginning = ("my card is bent " * CHARACTERS_READ)[:CHARACTERS_READ]

    short, long = lexical_vectors(model, [beginning, beginning + " please close my account"])

    assert (short == long).all()


def test_the_same_state_learns_the_same():
    one, again = (fit_lexical(CARDS, 4, random_state=5) for _ in range(2))

    assert (one.seen == again.seen).all()
    assert (one.idf == again.idf).all()
    assert (one.components == again.components).all()


def test_of_very_many_texts_a_sample_is_learned_from_the_same_each_time(monkeypatch):
    monkeypatch.setattr(lexical_features, "MOST_TEXTS_TO_FIT", 5)
    texts = [f"word{number}" for number in range(40)]

    one, again, other = (fit_lexical(texts, 3, random_state=state) for state in (1, 1, 2))

    assert (one.seen < COLUMNS).sum() == 5
    assert one.seen.tolist() == again.seen.tolist()
    assert one.seen.tolist() != other.seen.tolist()


def test_a_texts_vector_does_not_depend_on_its_company():
    model = fit_lexical(CARDS, 6, random_state=0)

    together = lexical_vectors(model, CARDS)
    alone = np.vstack([lexical_vectors(model, [text]) for text in CARDS])

    assert alone == pytest.approx(together, abs=1e-6)


def test_everything_learned_is_an_array_of_numbers():
    model = fit_lexical(CARDS, 4, random_state=0)

    assert [array.dtype.kind for array in (model.seen, model.idf, model.components)] == ["i", "f", "f"]
    assert model.components.shape == (4, len(model.seen))


def test_in_chinese_single_characters_and_pairs_are_words():
    texts = ["我的卡丢了", "卡丢在火车上了", "怎么改密码", "密码忘了怎么办"]
    vectors = lexical_vectors(fit_lexical(texts, 4, random_state=0), texts)
    similarity = vectors @ vectors.T

    assert similarity[0, 1] > similarity[0, 2] + 0.1
    assert similarity[2, 3] > similarity[2, 1] + 0.1
