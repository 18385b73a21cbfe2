"""How many audits a certificate takes, and how often it is wrong: ``python -m benchmarks.certificates``.

Simulates projects whose share of right machine labels is exactly known. The confidences order right and wrong labels
with a given AUROC, and may say too much or too little. *Now* is the test of ``steps/certificate.py``, looked at after
every answer; *before* are four checks after 100, 200, 400 and 800 even draws, each with an exact bound at 98.75%.
Printed for each setting: mean audits until the certificate (at most 800), the share of the projects that get it, and
their ratio. Then come projects at exactly the target: every certificate there is wrong. The next lines are about the
first part that is tested, with draws that favour it and with even ones (medians of a twentieth of the projects). In the
last lines every part is exactly at the target, or below it, so each certificate for a part is wrong, too.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import beta, binomtest, norm

from red_core.records import Booleans, Floats
from red_core.steps.certificate import (
    NO_FOCUS,
    NOTHING_KNOWN,
    Draws,
    Frame,
    draw,
    error_of,
    largest_proven,
    log_capital,
    whole,
)
from red_core.steps.certificate_forecast import first_part, frames

LOOKS, MOST, BLOCKS = (100, 200, 400, 800), 800, 20
SHARPNESS = {"AUROC .75": 0.75, "AUROC .90": 0.90, "AUROC .97": 0.97}
TOLD = {"calibrated": 1.0, "too sure": 1.5, "too humble": 0.6}


@dataclass(frozen=True)
class Simulated:
    """Which machine labels are right, and the confidences in them; both of shape (n,)."""

    right: Booleans
    confidence: Floats


def simulated(texts: int, share: float, auroc: float, told: float, rng: np.random.Generator) -> Simulated:
    """Return a project with exactly this share of right labels.

    The scores are normal, and those of right labels are higher by what the AUROC asks for. The confidence is the true
    probability given the score; ``told`` multiplies its log-odds.
    """
    right = np.zeros(texts, dtype=np.bool_)
    right[rng.permutation(texts)[: round(share * texts)]] = True
    apart = float(norm.ppf(auroc)) * np.sqrt(2.0)
    score = rng.normal(size=texts) + apart * right
    log_odds = logit(share) + apart * (score - apart / 2.0)
    return Simulated(right, expit(told * log_odds))


def audits_now(project: Simulated, target: float, rng: np.random.Generator) -> int | None:
    """Return at how many answers the certificate is given; None if not within MOST."""
    places, chances = draw(project.confidence, MOST, rng)
    draws = Draws(project.right[places], project.confidence[places], chances, NOTHING_KNOWN)
    capital = log_capital(draws, whole(project.confidence), target)
    given = np.flatnonzero(capital >= -np.log(error_of(0)))
    return int(given[0]) + 1 if len(given) else None


def audits_before(project: Simulated, target: float, rng: np.random.Generator) -> int | None:
    """Return the same for four checks of even draws."""
    right = np.cumsum(rng.permutation(project.right)[:MOST])
    for look in LOOKS:
        hits = int(right[look - 1])
        if hits and beta.ppf(0.0125, hits, look - hits + 1) >= target:
            return look
    return None


@dataclass(frozen=True)
class Tested:
    """What one project would test: its confidences, shape (n,), its parts, and where its draws go."""

    confidence: Floats
    every: Frame
    parts: list[Frame]
    focus: float


def tested(confidence: Floats, target: float) -> Tested:
    """Choose parts and draws by the confidences, as the audit does."""
    every, *parts = frames(confidence, target, error_of(0))
    first = first_part(confidence, parts, target, error_of(0))
    return Tested(confidence, every, parts, NO_FOCUS if first is None else first.focus)


def at_the_target(share: float, options: argparse.Namespace) -> Tested:
    """Return a project whose parts look as if they could be certified: 20 blocks, the first ones surest."""
    size = options.texts // BLOCKS
    return tested(np.repeat(np.linspace(0.999, share + 0.01, BLOCKS), size), options.target)


def part_is_certified(project: Tested, share: float, options: argparse.Namespace, seed: int) -> bool:
    """Return whether a part is certified although each block is right in exactly this share of its texts."""
    rng = np.random.default_rng([seed, 99])
    size = options.texts // BLOCKS
    right = np.concatenate([rng.permutation(np.arange(size) < round(share * size)) for _ in range(BLOCKS)])
    places, chances = draw(project.confidence, MOST, rng, project.focus)
    draws = Draws(right[places], project.confidence[places], chances, NOTHING_KNOWN)
    return largest_proven(draws, project.every, project.parts, options.target, error_of(0)) is not None


def audits_of_part(share: float, auroc: float, options: argparse.Namespace) -> str:
    """Return a line: audits until the first part is certified, and how often, with draws that favour it and without."""
    found: dict[bool, list[float]] = {True: [], False: []}
    size, favoured = [], 0
    for seed in range(options.projects // 20):
        rng = np.random.default_rng([seed, round(1000 * share), 7])
        drawn = simulated(options.texts, share, auroc, 1.0, rng)
        chosen = tested(drawn.confidence, options.target)
        size.append(chosen.parts[0].texts / options.texts)
        favoured += chosen.focus != NO_FOCUS
        for focused, counts in found.items():
            places, chances = draw(drawn.confidence, MOST, rng, chosen.focus if focused else NO_FOCUS)
            draws = Draws(drawn.right[places], drawn.confidence[places], chances, NOTHING_KNOWN)
            capital = log_capital(draws, chosen.parts[0], options.target)
            counts.append(float(np.argmax(np.r_[capital, np.inf] >= -np.log(error_of(0)))))
    medians = [float(np.median(found[focused])) for focused in (True, False)]
    given = [float(np.mean(np.array(found[focused]) < MOST)) for focused in (True, False)]
    counts_in_words = f"{medians[0]:7.0f} {given[0]:6.2f} {medians[1]:7.0f} {given[1]:6.2f}"
    name = f"AUROC {auroc:.2f}, surest {np.mean(size):.0%}, favoured {favoured / len(size):.0%}"
    return f"{share:5.3f} {name:40} {counts_in_words} {medians[0] / medians[1]:6.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--projects", type=int, default=2000, help="of each setting")
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--true", type=float, nargs="*", default=[0.96, 0.97, 0.98, 0.99])
    options = parser.parse_args()
    used = time.process_time()
    print(f"{'true':>5} {'confidences':24} {'now':>7} {'given':>6} {'before':>7} {'given':>6} {'ratio':>6}")
    for share in [*options.true, options.target]:
        for named, auroc in SHARPNESS.items():
            for words, told in TOLD.items():
                print(_line(share, f"{named}, {words}", auroc, told, options), flush=True)
    print(f"{'true':>5} {'the surest part':40} {'favoured':>7} {'given':>6} {'even':>7} {'given':>6} {'ratio':>6}")
    for share in (0.97, 0.95, 0.93, 0.9, 0.85):
        for auroc in (0.9, 0.97):
            print(audits_of_part(share, auroc, options), flush=True)
    for share in (options.target, options.target - 0.01):
        project = at_the_target(share, options)
        wrong = sum(part_is_certified(project, share, options, seed) for seed in range(options.projects))
        high = binomtest(wrong, options.projects).proportion_ci(0.95).high
        print(
            f"{share:5.3f} the surest part        wrong {wrong / options.projects:.3f} (at most {high:.3f})", flush=True
        )
    print(f"{time.process_time() - used:.0f} processor seconds")


def _line(share: float, name: str, auroc: float, told: float, options: argparse.Namespace) -> str:
    now, before = [], []
    for seed in range(options.projects):
        rng = np.random.default_rng([seed, round(1000 * share)])
        project = simulated(options.texts, share, auroc, told, rng)
        now.append(audits_now(project, options.target, rng))
        before.append(audits_before(project, options.target, rng))
    given = [float(np.mean([each is not None for each in found])) for found in (now, before)]
    if share <= options.target:
        high = [binomtest(round(g * options.projects), options.projects).proportion_ci(0.95).high for g in given]
        wrong = f"wrong {given[0]:.3f} (at most {high[0]:.3f}), before {given[1]:.3f} (at most {high[1]:.3f})"
        return f"{share:5.3f} {name:24} {wrong}"
    means = [float(np.mean([each or MOST for each in found])) for found in (now, before)]
    counts = f"{means[0]:7.0f} {given[0]:6.2f} {means[1]:7.0f} {given[1]:6.2f}"
    return f"{share:5.3f} {name:24} {counts} {means[0] / means[1]:6.2f}"


if __name__ == "__main__":
    main()
