"""Many labels at once: retired by list, merged in pairs, and found to be perhaps the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from red_core.errors import RedError, StateError
from red_core.labels.edits import apply_edit, preview, undo_edit
from red_core.labels.file import from_pasted
from red_core.labels.many import Duplicate, MergePairs, RetireList, duplicates, unused
from red_core.records import Label, Project
from red_core.rounds.run import run_round
from red_core.store import views
from red_core.store.labels import current_layout, list_labels, save_layout
from red_core.store.texts import contents, seeds
from red_core.store.views import Confusion
from tests.helpers.small_projects import FAST, LABELS, embed, seed_rows, small_project

NAMES = (*LABELS, "invoice", "praise")


@pytest.fixture
def project(workspace: Path) -> Project:
    """Six labels in three subsets."""
    project = small_project(workspace, seeds=seed_rows(NAMES, 2))
    ids = np.array([label.id for label in list_labels(project)])
    save_layout(project, ids, np.array([0, 1, 2, 0, 1, 2]), np.random.default_rng(0).random((6, 2)), "tester")
    return project


def names(project: Project) -> list[str]:
    return [label.name for label in list_labels(project)]


def test_a_list_is_retired_and_comes_back_as_one(project: Project) -> None:
    assert preview(project, RetireList((1, 3, 4))).seeds == 6
    apply_edit(project, RetireList((1, 3, 4)), "ann")
    assert names(project) == ["delivery", "invoice", "praise"]
    undo_edit(project, "ann")
    assert names(project) == list(NAMES)
    with pytest.raises(StateError, match="at least two labels must be left"):
        apply_edit(project, RetireList((1, 2, 3, 4, 5)), "ann")


def test_the_message_names_a_few_labels(project: Project) -> None:
    def message(edit: MergePairs | RetireList) -> str:
        return preview(project, edit).message.partition(";")[0]

    assert message(MergePairs({1: 2})) == "merged 'refund' into 'delivery'"
    many = "merged 'refund' into 'warranty', 'delivery' into 'warranty', 'repair' into 'invoice' and 1 more"
    assert message(MergePairs({1: 2, 2: 3, 4: 5, 6: 5})) == many
    assert message(RetireList((1, 3))) == "retired 2 labels: 'refund', 'warranty'"
    assert message(RetireList((1,))) == "retired 'refund'"


def test_pairs_are_merged_to_the_end_of_their_chain(project: Project) -> None:
    apply_edit(project, MergePairs({1: 2, 2: 3, 4: 5}), "ann")
    assert names(project) == ["warranty", "invoice", "praise"]
    assert preview(project, RetireList((3,))).seeds == 6
    undo_edit(project, "ann")
    assert names(project) == list(NAMES)
    with pytest.raises(StateError, match="cannot be merged into itself"):
        apply_edit(project, MergePairs({1: 2, 2: 1}), "ann")


def test_pasted_names_add_labels_with_their_groups_in_one_edit(project: Project) -> None:
    text = "Refund\n\nMoney > Cards > card declined\nvoucher\tI have one\tmy voucher is void\n7-B\t\tseven b\tb7\n"
    known, added = from_pasted(project, text)
    assert known == [1]
    shown = preview(project, added)
    assert "3 added ('card declined', 'voucher', '7-B')" in shown.message
    assert shown.labels == 9
    apply_edit(project, added, "ann")
    new = {label.name: label for label in list_labels(project)[6:]}
    assert new["card declined"].path == ("Money", "Cards")
    texts, of_label = seeds(project)
    examples = [contents(project, texts[of_label == label.id]) for label in new.values()]
    assert {tuple(sorted(found)) for found in examples} == {
        ("card declined",), ("I have one", "my voucher is void"), ("b7", "seven b"),
    }  # fmt: skip
    undo_edit(project, "ann")
    assert names(project) == list(NAMES)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("voucher\nprize\nVOUCHER", "'VOUCHER' is on line 1 and on line 3"),
        ("x" * 201, "1 to 200 characters"),
        ("voucher\n7-B", "row 2: a new label needs at least 2 different examples"),
        ("voucher\trefund please, case number 0", "row 1: text 1 is not an unlabelled text"),
    ],
)
def test_a_pasted_line_that_breaks_a_rule_is_named(text: str, rule: str, project: Project) -> None:
    with pytest.raises(RedError) as error:
        preview(project, from_pasted(project, text)[1])
    assert rule in str(error.value)


def test_a_round_learns_a_label_from_its_name_alone(workspace: Path) -> None:
    project = small_project(workspace)
    apply_edit(project, from_pasted(project, "voucher")[1], "ann")
    embed(project)
    voucher = list_labels(project)[-1].id
    run_round(project, FAST, who="ann")
    assert voucher in current_layout(project)[0].tolist()


def test_labels_that_no_text_has_are_unused(project: Project) -> None:
    assert unused(views.label_table(project, 0)) == [1, 2, 3, 4, 5, 6]


def test_labels_may_be_the_same_by_name_by_examples_or_by_confusion() -> None:
    labels = [Label(n, name) for n, name in enumerate(("card lost", "Card  lost!", "cash", "money", "refund"), 1)]
    similarity = np.eye(5)
    similarity[2, 3] = similarity[3, 2] = 0.95
    confused = [Confusion((1, 2), 9.0, 1), Confusion((4, 5), 2.0, 1), Confusion((3, 5), 0.2, 0)]
    found = duplicates(labels, similarity, confused)
    assert [(each.labels, each.reason) for each in found] == [
        ((1, 2), "names"), ((3, 4), "examples"), ((4, 5), "confused"),
    ]  # fmt: skip
    assert duplicates(labels[2:], None, []) == list[Duplicate]()


def test_the_order_of_words_does_not_hide_a_near_name() -> None:
    names = (
        "card declined",
        "declined, Card",
        "delivery",
        "Card stolen",
        *(f"card {n * 1_000_003}" for n in range(20)),
    )
    labels = [Label(n, name) for n, name in enumerate(names, 1)]
    (first, *_) = duplicates(labels, None, [])
    assert (first.labels, first.reason, first.value) == ((1, 2), "names", 1.0)


def test_labels_may_be_the_same_by_their_written_meanings() -> None:
    fee = "A question about the fee of a {}."
    meanings = [
        "The card was lost or stolen.", "The card was stolen, or it was lost.", "the card was lost or stolen", "",
        *(fee.format(word) for word in ("transfer", "withdrawal", "loan", "top-up", "chargeback")), "",
    ]  # fmt: skip
    labels = [Label(n, f"{n * 7_919:x}" * 3, meaning) for n, meaning in enumerate(meanings, 1)]
    found = [each for each in duplicates(labels, None, []) if each.reason == "meanings"]
    assert (found[0].labels, found[0].value) == ((1, 3), pytest.approx(1.0))
    assert {each.labels for each in found} == {(1, 2), (1, 3), (2, 3)}
