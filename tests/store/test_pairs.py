from __future__ import annotations

from red_core.review.decisions import decide
from red_core.store.pairs import between, of_label
from red_core.store.texts import pool
from tests.helpers.small_projects import reviewed_round


def test_the_grid_goes_from_surely_the_first_to_surely_the_second_without_what_is_decided(project):
    texts = pool(project).tolist()
    rival = 4  # of every prediction of this helper
    believed = {text: (1 if n % 2 else rival, 0.55 + n / 100) for n, text in enumerate(texts[:20])}
    believed |= dict.fromkeys(texts[20:], (2, 0.9))
    round_id = reviewed_round(project, believed)
    first = [row for row in between(project, round_id, 1, rival) if row.label == 1]
    rows = between(project, round_id, 1, rival)
    assert first
    assert {row.text for row in first} == {text for text, (label, _) in believed.items() if label == 1}
    assert [row.second - row.first for row in rows] == sorted(row.second - row.first for row in rows)
    assert all(abs(row.first + row.second - 1) < 1e-6 for row in rows)
    decide(project, first[0].text, "accept", label=1)
    assert first[0].text not in {row.text for row in between(project, round_id, 1, rival)}
    assert between(project, round_id, rival, 1) == sorted(
        between(project, round_id, rival, 1), key=lambda row: row.second - row.first
    )
    assert between(project, round_id, 1, 3) == []


def test_the_grid_of_a_label_goes_from_surely_this_label_to_surely_not(project):
    texts = pool(project).tolist()
    believed = {text: (1, 0.55 + n / 100) for n, text in enumerate(texts[:10])}
    believed |= dict.fromkeys(texts[10:], (2, 0.9))
    round_id = reviewed_round(project, believed)
    rows = of_label(project, round_id, 1)
    assert [row.text for row in rows] == texts[:10][::-1]
    assert {(row.label, row.runner_up) for row in rows} == {(1, 4)}
    assert [row.first for row in rows] == sorted((belief for _, belief in list(believed.values())[:10]), reverse=True)
    decide(project, rows[0].text, "none")
    assert [row.text for row in of_label(project, round_id, 1)] == texts[:9][::-1]
