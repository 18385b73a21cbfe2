import numpy as np

from red_core.rounds import scoring
from red_core.rounds.scoring import ScoredPool, predictions_of
from red_core.steps.belief import Calibration, candidates


def test_rows_are_the_same_in_blocks_of_any_size(monkeypatch):
    log_odds = np.random.default_rng(0).normal(size=(7, 12)).astype(np.float32)
    alone = candidates(log_odds, Calibration(1.0, 0.5), 10)
    kept = candidates(log_odds[:, ::-1].copy(), Calibration(1.0, 0.5), 10)
    scored = ScoredPool(np.arange(3, 10), np.arange(20, 32), alone, kept, None, 0.05)
    at_once = list(predictions_of(scored))
    monkeypatch.setattr(scoring, "LARGE_BLOCK_ROWS", 3)
    assert list(predictions_of(scored)) == at_once
    assert [row[0] for row in at_once] == list(range(3, 10))
