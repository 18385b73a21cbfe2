"""Which language texts are in, and that language's stop words: both from libraries (py3langid, stopwords-iso)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

TEXTS_READ = 400
"""So many texts, spread over all, tell the languages of a project."""
CHARACTERS_READ = 400
LEAST_SHARE = 0.1
"""A language in a smaller share of the texts is not named: short texts are often mistaken."""
FEWEST_TEXTS = 3
"""Nor is a language of fewer texts."""
NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French",
    "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "nl": "Dutch", "no": "Norwegian",
    "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian",
    "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""English names of languages; others are shown by their code."""


def languages_of(texts: Sequence[str]) -> dict[str, float]:
    """Return ISO 639-1 code -> share of the texts, the commonest first; only of LEAST_SHARE and FEWEST_TEXTS on.

    Parameters
    ----------
    texts : sequence of n str
        TEXTS_READ of them, evenly spread, are read. Texts without a letter do not count.
    """
    chosen = [texts[int(row)] for row in np.linspace(0, len(texts) - 1, min(len(texts), TEXTS_READ))] if texts else []
    # Casing is not language: a text in capitals is often mistaken.
    read = [text[:CHARACTERS_READ].lower() for text in chosen if any(map(str.isalpha, text))]
    counts = Counter(language_of(text) for text in read)
    least = max(FEWEST_TEXTS, LEAST_SHARE * len(read))
    return {code: count / len(read) for code, count in counts.most_common() if count >= least}


def language_of(text: str) -> str:
    """Return the ISO 639-1 code of a text's likeliest language."""
    return str(_identifier().classify(text)[0])


@lru_cache(maxsize=1)
def _identifier() -> Any:  # noqa: ANN401  the library ships no types
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415  loads in a second

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_names(codes: Sequence[str]) -> str:
    """Return languages in words: 'German', 'German and French', 'German, French and Thai'."""
    names = [NAMES.get(code, code) for code in codes]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


@cache
def stop_words(language: str) -> frozenset[str]:
    """Return the stop words of a language in lower case; none for a language that the library does not know."""
    from stopwordsiso import stopwords  # noqa: PLC0415

    return frozenset(word.casefold() for word in stopwords(language) if any(map(str.isalpha, word)))
