"""Whether the encoder knows the language of the texts, and which encoder labels the project's own examples best."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace

import numpy as np

from red_core.encoders import (
    CATALOGUE,
    EncoderSpec,
    encode,
    known_encoder,
    language_names,
    languages_of,
    parse_spec,
    pinned,
)
from red_core.encoders.catalogue import KnownEncoder, shortened
from red_core.errors import EmbeddingError
from red_core.records import FEWEST_EXAMPLES, Floats, Ints, Progress, Project
from red_core.settings import DEFAULT_MODEL
from red_core.steps.lexical_features import fit_lexical, lexical_vectors
from red_core.store.rounds import list_rounds
from red_core.store.texts import ENCODER, ENCODER_CHOSEN, contents, pool, remember, remembered, seeds
from red_core.store.vectors import without_vector

LANGUAGES, NEWEST_LANGUAGES, COMPARISON = "languages", "languages of the newest texts", "encoder comparison"
"""The keys under which a project remembers these facts."""
MOST_EXAMPLES = 600
"""Labelled examples that compare encoders: enough to tell .70 from .76, and seconds of work."""
FOLDS = 3
STRENGTH = 30.0
"""Inverse L2 strength of the classifier that compares encoders, from the middle of the settings' range."""
WORDS = "words and characters alone"
WORD_DIMENSIONS = 256
CLEARLY_BETTER = 0.03
"""A smaller difference on so few examples is chance."""
CLEARLY_FASTER = 1.2
"""So many times as many texts a second are worth a change."""
NOT_WORSE = 0.01
"""A faster form of the same encoder may label this share of the examples less right."""
FEW_LANGUAGES = 3
"""So many languages of an encoder are named one by one."""
MOSTLY = 0.5
"""Texts are mostly in a language that at least this share of them is in."""


@dataclass(frozen=True)
class EncoderScore:
    """How well an encoder labels held-out examples of the project.

    Attributes
    ----------
    encoder : str
        The line of the encoder, or WORDS.
    right : float
        Share of the examples labelled right, in [0, 1].
    per_second : float
        Texts encoded in a second on this machine; 0.0 for WORDS.
    """

    encoder: str
    right: float
    per_second: float = 0.0


@dataclass(frozen=True)
class EncoderAdvice:
    """What is known about the encoder of a project.

    Attributes
    ----------
    encoder : EncoderSpec
        The one in use.
    languages : dict of str to float
        ISO 639-1 code -> share of the texts.
    newest : dict of str to float
        The same of the texts that came with the newest import.
    foreign : bool
        Whether the encoder does not know the language of most texts.
    scores : tuple of EncoderScore
        The best first; empty before a comparison.
    chosen : bool
        Whether a person chose the encoder.
    begun : bool
        Whether the project has a round.
    """

    encoder: EncoderSpec
    languages: dict[str, float]
    newest: dict[str, float]
    foreign: bool
    scores: tuple[EncoderScore, ...]
    chosen: bool
    begun: bool

    @property
    def waits(self) -> bool:
        """Whether a person should choose the encoder before all texts are embedded."""
        offered = bool(self.better or self.knowing)
        return self.foreign and offered and not (self.begun or self.chosen or self._settled)

    @property
    def warns(self) -> bool:
        """Whether texts are in a language that the encoder does not know, nobody chose it, and the work goes on."""
        return bool(self.unknown) and not (self.waits or self.chosen or self._settled)

    @property
    def unknown(self) -> list[str]:
        """The languages that the encoder does not know, if they are those of most texts or of most newest texts."""
        return _unknown(self.encoder, self.languages) or _unknown(self.encoder, self.newest)

    @property
    def knowing(self) -> list[KnownEncoder]:
        """The other encoders of the catalogue that know the commonest unknown language."""
        others = (known for known in CATALOGUE if known.spec.name != self.encoder.name)
        return [known for known in others if self.unknown and self.unknown[0] in known.languages]

    @property
    def _settled(self) -> bool:
        """Whether one that knows the language was compared on examples in it, and is not clearly better."""
        compared = {parse_spec(score.encoder).name for score in self.scores if score.encoder != WORDS}
        return self.foreign and self.better is None and any(known.spec.name in compared for known in self.knowing)

    @property
    def better(self) -> EncoderScore | None:
        """The best encoder on this machine, if it labels clearly more examples right than the one in use."""
        own = self.own
        best = next((score for score in self.scores if score.encoder != WORDS), None)
        return best if own and best and best.right >= own.right + CLEARLY_BETTER else None

    @property
    def own(self) -> EncoderScore | None:
        """The score of the encoder in use; None if it was not compared."""
        return next((score for score in self.scores if score.encoder == str(self.encoder)), None)

    @property
    def faster(self) -> EncoderScore | None:
        """The fastest form of the encoder in use, if it is clearly faster and labels as many examples right."""
        own = self.own
        if own is None or not own.per_second:
            return None
        scored = [(parse_spec(score.encoder), score) for score in self.scores if score.encoder != WORDS]
        forms = [score for spec, score in scored if replace(spec, precision=self.encoder.precision) == self.encoder]
        fastest = max(forms, key=lambda score: score.per_second)
        clearly = fastest.per_second >= CLEARLY_FASTER * own.per_second and fastest.right >= own.right - NOT_WORSE
        return fastest if clearly else None

    def sentences(self) -> list[str]:
        """Return what a person should know: the languages, and how well each encoder does."""
        told = (self._language(), self._comparison(), self._words(), self._faster())
        return [sentence for sentence in told if sentence]

    def _language(self) -> str:
        if not self.unknown:
            return ""
        which, shares = ("These", self.languages) if self.foreign else ("The newest", self.newest)
        main = shares[self.unknown[0]] >= MOSTLY
        texts = f"{which} texts are mostly" if main else f"Many of {which.lower()} texts are"
        named = language_names(self.unknown[:1] if main else self.unknown)
        knows = known_encoder(self.encoder.name)
        few = knows is not None and len(knows.languages) <= FEW_LANGUAGES
        languages = f"only {language_names(sorted(knows.languages))}" if knows and few else "other languages"
        return f"{texts} {named}. The encoder “{title_of(str(self.encoder))}” knows {languages}."

    def _comparison(self) -> str:
        own, better = self.own, self.better
        if own is None:
            return ""
        sentence = f"With “{title_of(own.encoder)}”, {_of_100(own)} of 100 of your examples get the right label"
        return f"{sentence}; with “{title_of(better.encoder)}”, {_of_100(better)}." if better else f"{sentence}."

    def _words(self) -> str:
        own, words = self.own, next((score for score in self.scores if score.encoder == WORDS), None)
        if not own or not words or words.right < own.right + CLEARLY_BETTER:
            return ""
        return f"With words and characters alone, without an encoder, {_of_100(words)}."

    def _faster(self) -> str:
        own, faster = self.own, self.faster
        if own is None or faster is None:
            return ""
        title, times = title_of(faster.encoder), faster.per_second / own.per_second
        return f"“{title}”: {_of_100(faster)} of 100 right, {times:.1f} times as many texts a second."


def _of_100(score: EncoderScore) -> int:
    return round(100 * score.right)


def title_of(line: str) -> str:
    """Return what a person calls an encoder."""
    spec = parse_spec(line)
    known = None if line == WORDS else known_encoder(spec.name, spec.precision)
    if known is None:
        return line
    return f"{known.title}, 16-bit" if spec.precision == "bfloat16" else known.title


def encoder_of(project: Project) -> str:
    """Return the line of the encoder that a project uses: the default one before anything is stored."""
    return remembered(project, ENCODER) or DEFAULT_MODEL


def encoder_advice(project: Project) -> EncoderAdvice:
    """Return what is known; nothing is computed."""
    spec = parse_spec(encoder_of(project))
    languages, newest = (
        {str(code): float(share) for code, share in json.loads(remembered(project, key, "{}")).items()}
        for key in (LANGUAGES, NEWEST_LANGUAGES)
    )
    scores = tuple(EncoderScore(**score) for score in json.loads(remembered(project, COMPARISON, "[]")))
    foreign, chosen = bool(_unknown(spec, languages)), bool(remembered(project, ENCODER_CHOSEN))
    return EncoderAdvice(spec, languages, newest, foreign, scores, chosen, bool(list_rounds(project)))


def _unknown(spec: EncoderSpec, languages: dict[str, float]) -> list[str]:
    """Return the languages that an encoder does not know, the commonest first, if more texts are in them than not."""
    known = known_encoder(spec.name)
    unknown = [code for code in languages if known is not None and code not in known.languages]
    share = sum(languages[code] for code in unknown)
    return unknown if share > sum(languages.values()) - share else []


def look_at_languages(project: Project) -> dict[str, float]:
    """Find the languages of the texts, store them and return them as code -> share.

    Those of the texts that have no vector yet, because they are new, are stored as those of the newest texts.
    """
    texts = np.union1d(pool(project), seeds(project)[0])
    languages = _languages_in(project, texts)
    remember(project, LANGUAGES, json.dumps(languages), anew=True)
    newest = np.intersect1d(texts, without_vector(project, encoder_of(project)))
    if len(newest):
        remember(project, NEWEST_LANGUAGES, json.dumps(_languages_in(project, newest)), anew=True)
    return languages


def _languages_in(project: Project, texts: Ints) -> dict[str, float]:
    return languages_of(contents(project, texts[:: max(1, len(texts) // 1_000)]))


def compare_encoders(project: Project, progress: Progress) -> tuple[EncoderScore, ...]:
    """Compare the encoders that are on this machine on held-out examples; store and return the scores, best first.

    Each encoder's vectors train one logistic regression, which labels the examples of the folds that it did not see.
    Returns nothing where fewer than two labels have FEWEST_EXAMPLES examples.
    """
    texts, labels = _examples(project)
    if len(np.unique(labels)) < FEWEST_EXAMPLES:
        return ()
    own = parse_spec(encoder_of(project))
    whole = [own, *(pinned(known.spec) for known in CATALOGUE if known.on_this_machine)]
    specs = dict.fromkeys(filter(None, [*whole, *map(shortened, whole)]))
    examples = contents(project, texts)
    scores = []
    for done, spec in enumerate(specs):
        progress(done, len(specs) + 1)
        try:
            encode(str(spec), examples[:1])  # loading is not encoding
            start = time.perf_counter()
            vectors = encode(str(spec), examples)
        except EmbeddingError:
            if spec == own:
                raise
            continue  # one that is here in part, such as after a download that was stopped
        per_second = round(len(examples) / (time.perf_counter() - start), 1)
        scores.append(EncoderScore(str(spec), _right(vectors, labels), per_second))
    progress(len(specs), len(specs) + 1)
    words = fit_lexical(examples, WORD_DIMENSIONS, random_state=0)
    scores.append(EncoderScore(WORDS, _right(lexical_vectors(words, examples), labels)))
    progress(len(specs) + 1, len(specs) + 1)
    ordered = tuple(sorted(scores, key=lambda score: -score.right))
    remember(project, COMPARISON, json.dumps([asdict(score) for score in ordered]), anew=True)
    return ordered


def _examples(project: Project) -> tuple[Ints, Ints]:
    """Return row ids and label ids of at most about MOST_EXAMPLES examples; each label has at least two."""
    texts, labels = seeds(project)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(texts))
    rows_of = {label: order[labels[order] == label] for label in np.unique(labels)}
    rows_of = {label: rows for label, rows in rows_of.items() if len(rows) >= FEWEST_EXAMPLES}
    kept = list(rows_of)[: MOST_EXAMPLES // FEWEST_EXAMPLES]
    each = max(FEWEST_EXAMPLES, MOST_EXAMPLES // max(1, len(kept)))
    rows = np.sort(np.concatenate([rows_of[label][:each] for label in kept])) if kept else np.zeros(0, dtype=np.int64)
    return texts[rows], labels[rows]


def _right(vectors: Floats, labels: Ints) -> float:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  scikit-learn takes a second to import
    from sklearn.model_selection import StratifiedKFold, cross_val_predict  # noqa: PLC0415  as above

    _, counts = np.unique(labels, return_counts=True)
    folds = StratifiedKFold(max(2, min(FOLDS, int(counts.min()))), shuffle=True, random_state=0)
    predicted = cross_val_predict(LogisticRegression(C=STRENGTH, max_iter=500), vectors, labels, cv=folds)
    return round(float((predicted == labels).mean()), 4)
