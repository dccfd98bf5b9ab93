"""The six tasks: what is ranked for what, what is left out, and what the summary says of it."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.directions import DIRECTIONS, MEAN, TASKS
from dckt_core.evaluation.ranking import average_precisions, chance_ap
from dckt_core.evaluation.tasks import Evaluation, SummaryAtK, evaluate
from tests.support.tolerance import SMALL, approx

WITHIN = [name for name in TASKS if name not in DIRECTIONS]


def made_up(labels: list[int], seed: int = 0) -> tuple[Representation, Tensor, list[str]]:
    generator = torch.Generator().manual_seed(seed)
    image, text = (torch.randn(len(labels), 6, generator=generator).softmax(dim=1) for _ in range(2))
    return Representation(image, text), torch.tensor(labels), [f"pair {n}" for n in range(len(labels))]


def oracle(view: Representation, labels: Tensor, task: str, *, self_hit: bool) -> tuple[list[float], list[int]]:
    """AP and R of each query by the definition: items are (medium, row), the query itself is one of them or is not."""
    query_medium = TASKS[task].query
    media = ("image", "text") if TASKS[task].gallery == "all" else (TASKS[task].gallery,)
    aps, counts = [], []
    for row in range(len(labels)):
        query = getattr(view, query_medium)[row].double()
        items = [(medium, other) for medium in media for other in range(len(labels))]
        if not self_hit:
            items = [item for item in items if item != (query_medium, row)]
        cosines = [torch.cosine_similarity(query, getattr(view, m)[o].double(), dim=0).item() for m, o in items]
        order = sorted(range(len(items)), key=lambda place: (-round(cosines[place], 12), place))
        relevance = [int(labels[items[place][1]] == labels[row]) for place in order]
        gains = [sum(relevance[: k + 1]) / (k + 1) for k in range(len(relevance)) if relevance[k]]
        aps.append(sum(gains) / max(len(gains), 1))
        counts.append(len(gains))
    return aps, counts


@pytest.mark.numerics
@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=9), seed=st.integers(0, 1000), self_hit=st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_task_equals_its_definition(labels: list[int], seed: int, self_hit: bool) -> None:
    view, numbers, ids = made_up(labels, seed)
    result = evaluate(view, numbers, ids, self_hit=self_hit)
    assert list(result.tasks) == list(TASKS)
    for task, found in result.tasks.items():
        aps, counts = oracle(view, numbers, task, self_hit=self_hit)
        assert found.ranking.relevant.tolist() == counts
        assert found.ranking.ap.tolist() == approx(aps, terms=SMALL)


def test_across_media_the_partner_is_a_hit_and_within_the_query_is_none() -> None:
    view, labels, ids = made_up([0, 1, 2, 2])
    relevant = {task: found.ranking.relevant.tolist() for task, found in evaluate(view, labels, ids).tasks.items()}
    assert relevant == {
        "image_to_text": [1, 1, 2, 2],
        "text_to_image": [1, 1, 2, 2],
        "image_to_image": [0, 0, 1, 1],
        "text_to_text": [0, 0, 1, 1],
        "image_to_all": [1, 1, 3, 3],
        "text_to_all": [1, 1, 3, 3],
    }


def test_self_hit_adds_the_query_as_its_own_first_hit() -> None:
    view, labels, ids = made_up([0, 0, 1, 2, 2, 2, 1])
    left_out, counted = (evaluate(view, labels, ids, self_hit=flag) for flag in (False, True))
    for task in DIRECTIONS:
        assert torch.equal(left_out.tasks[task].ranking.ap, counted.tasks[task].ranking.ap)
    for task in WITHIN:
        before, after = left_out.tasks[task].ranking, counted.tasks[task].ranking
        assert torch.equal(after.relevant, before.relevant + 1)
        assert ((after.ap > before.ap) | (before.ap == 1)).all()
    alone = evaluate(view, torch.arange(7), ids, self_hit=True)
    assert alone.tasks["image_to_image"].ranking.ap.tolist() == [1.0] * 7


def test_chance_is_that_of_each_gallery() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1])
    view, _, ids = made_up(labels.tolist())
    result = evaluate(view, labels, ids)
    assert result.tasks["image_to_text"].chance.tolist() == pytest.approx(
        chance_ap(torch.tensor([3, 3, 3, 2, 2]), 5).tolist()
    )
    assert result.tasks["text_to_text"].chance.tolist() == pytest.approx(
        chance_ap(torch.tensor([2, 2, 2, 1, 1]), 4).tolist()
    )
    assert result.tasks["image_to_all"].chance.tolist() == pytest.approx(
        chance_ap(torch.tensor([5, 5, 5, 3, 3]), 9).tolist()
    )


@pytest.mark.parametrize("self_hit", [False, True])
def test_random_representations_score_what_chance_says(self_hit: bool) -> None:
    labels = torch.arange(12) % 3
    differences: dict[str, list[float]] = {task: [] for task in TASKS}
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        view = Representation(torch.randn(12, 40, generator=generator), torch.randn(12, 40, generator=generator))
        for task, found in evaluate(view, labels, [str(n) for n in range(12)], self_hit=self_hit).tasks.items():
            differences[task].append(float((found.ranking.ap - found.chance).mean()))
    for task, values in differences.items():
        seen = torch.tensor(values)
        assert abs(float(seen.mean())) < 4 * float(seen.std()) / len(values) ** 0.5, task


def small(**options: object) -> Evaluation:
    return evaluate(*made_up([0, 0, 1, 2, 2, 2]), **options)  # type: ignore[arg-type]


def test_the_summary_is_the_mean_over_queries_that_have_an_answer() -> None:
    result = small(ks=[2, 3])
    summary = result.summary(seed=0)
    row, ranking = summary["image_to_image"], result.tasks["image_to_image"].ranking
    assert row.unanswerable == ("pair 2",)
    answered = torch.tensor([0, 1, 3, 4, 5])
    assert row.map == pytest.approx(float(ranking.ap[answered].mean()))
    assert row.chance == pytest.approx(float(result.tasks["image_to_image"].chance[answered].mean()))
    assert [cut.k for cut in row.at] == [2, 3]
    for cut in row.at:
        found = ranking.at[cut.k]
        expected = [float(column[answered].mean()) for column in (found.ap, found.precision, found.recall)]
        assert [cut.map, cut.precision, cut.recall] == pytest.approx(expected)
    assert summary["image_to_text"].unanswerable == ()


def test_the_mean_is_that_of_both_directions_resampled_together() -> None:
    summary = small().summary(seed=0)
    both = [summary[task] for task in DIRECTIONS]
    mean = summary[MEAN]
    assert mean.map == pytest.approx(sum(row.map or 0 for row in both) / 2)
    assert mean.chance == pytest.approx(both[0].chance)
    assert mean.interval is not None
    assert mean.interval[0] < (mean.map or 0) < mean.interval[1]


def test_intervals_follow_the_seed_alone() -> None:
    assert small().summary(0) == small(self_hit=False).summary(0)
    assert small().summary(0)["image_to_text"].interval != small().summary(1)["image_to_text"].interval
    assert small().summary(0)["image_to_text"].map == small().summary(1)["image_to_text"].map


def test_where_nothing_can_be_found_there_is_no_figure() -> None:
    view, labels, ids = made_up([0, 1, 2])
    row = evaluate(view, labels, ids, ks=[1]).summary(0)["text_to_text"]
    assert (row.map, row.interval, row.chance) == (None, None, None)
    assert row.at == (SummaryAtK(1, None, None, None),)
    assert row.unanswerable == tuple(ids)


def test_json_holds_plain_values() -> None:
    told = json.loads(json.dumps(small(ks=[2]).as_json(0), allow_nan=False))
    assert (told["pairs"], told["ks"], told["self_hit"]) == (6, [2], False)
    assert list(told["tasks"]) == [*TASKS, MEAN]
    assert set(told["tasks"][MEAN]) == {
        "map", "interval", "chance", "at", "unanswerable", "curve", "classes", "tied", "left_out",
    }  # fmt: skip
    assert (told["labelled"], told["items"], told["equal"]) == (
        6, {"image": 6, "text": 6}, {"image": 0, "text": 0},
    )  # fmt: skip
    assert list(told["instances"]) == [*DIRECTIONS, MEAN]
    assert set(told["instances"][MEAN]) == {"queries", "gallery", "figures"}
    assert set(told["instances"][MEAN]["figures"]["mrr"]) == {"value", "interval", "chance"}
    assert [set(cut) for cut in told["tasks"][MEAN]["at"]] == [{"k", "map", "precision", "recall"}]
    assert small().as_json(0)["tasks"][MEAN]["at"] == ()


def test_precision_is_told_at_levels_of_recall_and_map_by_class() -> None:
    view, labels, ids = made_up([0, 0, 1, 2, 2, 2, 0])
    summary = evaluate(view, labels, ids, classes=["a", "b", "c"]).summary(0)
    row, ranking = summary["text_to_text"], evaluate(view, labels, ids).tasks["text_to_text"].ranking
    answered = torch.tensor([0, 1, 3, 4, 5, 6])
    assert row.curve == pytest.approx(ranking.curve[answered].mean(dim=0).tolist())
    assert list(row.curve or ()) == sorted(row.curve or (), reverse=True)
    of_a, of_c = float(ranking.ap[[0, 1, 6]].mean()), float(ranking.ap[[3, 4, 5]].mean())
    assert {name: one.queries for name, one in row.classes.items()} == {"a": 3, "b": 1, "c": 3}
    assert [row.classes[name].map for name in "ac"] == pytest.approx([of_a, of_c])
    assert row.classes["b"].map is None
    both = [summary[task].classes["a"].map or 0 for task in DIRECTIONS]
    assert summary[MEAN].classes["a"].map == pytest.approx(sum(both) / 2)


def test_some_tasks_alone() -> None:
    whole, across = small().summary(0), small(tasks=DIRECTIONS).summary(0)
    assert across == {name: whole[name] for name in (*DIRECTIONS, MEAN)}
    assert list(small(tasks=["text_to_all"]).summary(0)) == ["text_to_all"]


def test_one_pair_and_none() -> None:
    view, labels, ids = made_up([0])
    summary = evaluate(view, labels, ids).summary(0)
    assert (summary[MEAN].map, summary["image_to_all"].map, summary["image_to_image"].map) == (1.0, 1.0, None)
    with pytest.raises(DataError, match="no pairs to evaluate on"):
        evaluate(Representation(torch.empty(0, 3), torch.empty(0, 3)), torch.empty(0).long(), [])


def test_pairs_and_representations_must_belong_together() -> None:
    view, labels, ids = made_up([0, 1])
    with pytest.raises(ValueError, match="1 labels for 2 pairs"):
        evaluate(view, labels[:1], ids)
    with pytest.raises(ValueError, match=r"numbers of texts \[1\] must be one for each of 2 rows"):
        evaluate(view, labels, ids, texts=labels[:1])


def test_ap_of_the_curriculum_is_ap_of_the_evaluation() -> None:
    view, labels, ids = made_up([0, 0, 1])
    ap = average_precisions(view.image, view.text, labels, labels)
    assert torch.equal(evaluate(view, labels, ids).tasks["image_to_text"].ranking.ap, ap)


# --- ties -----------------------------------------------------------------------------------------------------


@pytest.mark.numerics
@pytest.mark.parametrize("self_hit", [False, True])
@pytest.mark.parametrize("captions", [1, 5])
def test_a_constant_representation_scores_chance_in_every_task(captions: int, self_hit: bool) -> None:
    """Files sorted by class, which is the order that would help it."""
    labels = torch.arange(60) // 15
    same = torch.full((60, 4), 0.25)
    pictures = torch.arange(60) // captions
    result = evaluate(
        Representation(same, same), labels, [str(n) for n in range(60)], pictures=pictures, self_hit=self_hit
    )
    for name, row in result.summary(0).items():
        assert row.map == approx(row.chance, terms=SMALL), name
    for one in result.instance_summary(0).values():
        for figure in one.figures.values():
            assert figure.value == approx(figure.chance, terms=SMALL)
    assert result.equal == {"image": 60 // captions, "text": 60}
    assert result.summary(0)["image_to_text"].tied == 60
    assert result.summary(0)["image_to_image"].left_out == 60 * (60 - 60 // captions) * (not self_hit)
    assert result.summary(0)["mean"].tied == 120


def test_equal_representations_are_counted_among_different_items() -> None:
    view, labels, ids = made_up([0, 1, 2, 3, 0, 1])
    view.image[3] = view.image[0]
    view.text[1] = view.text[4] = view.text[5]
    result = evaluate(view, labels, ids)
    assert result.equal == {"image": 2, "text": 3}
    assert result.tasks["image_to_text"].ranking.tied.tolist() == [True, True, False, False, True, True]
    shared = evaluate(view, labels, ids, pictures=torch.tensor([0, 1, 2, 0, 4, 5]))
    assert shared.equal["image"] == 0, "the same picture is no other one that happens to look alike"


@pytest.mark.numerics
def test_equal_texts_tie_though_rounding_sets_them_apart() -> None:
    """Whatever batch a text was encoded in, it is the same text."""
    labels = torch.arange(40) // 10
    text = torch.full((40, 8), 0.125)
    text[:20] += 1e-7 * torch.rand(20, 8, generator=torch.Generator().manual_seed(0))
    view = Representation(torch.rand(40, 8, generator=torch.Generator().manual_seed(1)), text)
    ids = [str(n) for n in range(40)]
    row = evaluate(view, labels, ids, texts=torch.zeros(40).long()).summary(0)["image_to_text"]
    assert row.map == approx(row.chance, terms=SMALL)
    assert abs((evaluate(view, labels, ids).summary(0)["image_to_text"].map or 0) - (row.chance or 0)) > 0.01


# --- one picture in several pairs -----------------------------------------------------------------------------


def captioned(pictures: int = 24, captions: int = 5, seed: int = 0) -> tuple[Representation, Tensor, list[str], Tensor]:
    """Random features of pictures that have several captions each."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(pictures, 40, generator=generator).repeat_interleave(captions, dim=0)
    text = torch.randn(len(image), 40, generator=generator)
    shown = torch.arange(len(image)) // captions
    return Representation(image, text), shown % 4, [str(n) for n in range(len(image))], shown


def test_a_picture_is_not_found_by_itself_in_another_pair() -> None:
    gains: dict[str, list[float]] = {"image_to_image": [], "text_to_all": []}
    lifted = []
    for seed in range(60):
        view, labels, ids, pictures = captioned(seed=seed)
        result = evaluate(view, labels, ids, pictures=pictures, tasks=list(gains))
        for name, values in gains.items():
            values.append(float((result.tasks[name].ranking.ap - result.tasks[name].chance).mean()))
        if seed < 5:
            (task,) = evaluate(view, labels, ids, tasks=["image_to_image"]).tasks.values()
            lifted.append(float((task.ranking.ap - task.chance).mean()))
    for values in gains.values():  # random features score chance
        seen = torch.tensor(values)
        assert abs(float(seen.mean())) < 4 * float(seen.std()) / len(values) ** 0.5
    assert min(lifted) > 0.05, "which they did not, found by themselves"


def test_within_a_medium_each_item_is_there_once_and_the_query_not_at_all() -> None:
    view, labels, ids = made_up([0, 0, 0, 1])
    pictures, texts = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
    result = evaluate(view, labels, ids, pictures=pictures, texts=texts)
    relevant = {task: found.ranking.relevant.tolist() for task, found in result.tasks.items()}
    assert relevant == {
        "image_to_text": [3, 3, 3, 1],
        "text_to_image": [3, 3, 3, 1],
        "image_to_image": [1, 1, 1, 0],
        "text_to_text": [1, 1, 1, 0],
        "image_to_all": [3, 3, 3, 1],
        "text_to_all": [3, 3, 3, 1],
    }
    assert {task: found.ranking.candidates.tolist() for task, found in result.tasks.items()} == {
        "image_to_text": [4] * 4, "text_to_image": [4] * 4, "image_to_image": [2] * 4, "text_to_text": [2] * 4,
        "image_to_all": [5] * 4, "text_to_all": [5] * 4,
    }  # fmt: skip
    assert [found.left_out for found in result.tasks.values()] == [0, 0, 4, 4, 8, 8]
    counted = evaluate(view, labels, ids, pictures=pictures, texts=texts, self_hit=True)
    assert counted.tasks["image_to_image"].ranking.candidates.tolist() == [4] * 4
    assert counted.tasks["text_to_all"].ranking.relevant.tolist() == [6, 6, 6, 2]
    assert counted.summary(0)["image_to_all"].left_out == 0


def test_a_picture_that_has_two_labels_is_there_under_both() -> None:
    view, _, ids = made_up([0, 0, 0, 0])
    view.image[1] = view.image[0]
    labels, pictures = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 2])
    ranking = evaluate(view, labels, ids, pictures=pictures, tasks=["image_to_image"]).tasks["image_to_image"].ranking
    assert ranking.candidates.tolist() == [2, 2, 3, 3]
    assert ranking.relevant.tolist() == [1, 1, 1, 1]
    assert ranking.tied.tolist() == [False, False, True, True]


def test_intervals_resample_pictures() -> None:
    view, labels, ids, pictures = captioned()
    alone, together = (
        evaluate(view, labels, ids, pictures=given).summary(0)["image_to_text"].interval for given in (None, pictures)
    )
    assert alone is not None and together is not None
    assert together[1] - together[0] > 1.3 * (alone[1] - alone[0])


# --- pairs without a label ------------------------------------------------------------------------------------


def test_pairs_without_a_label_are_in_no_class_figure_but_are_looked_for() -> None:
    view, labels, ids = made_up([0, 0, 1, 2, 2, 2, 1])
    unknown = torch.tensor([1, 5])
    labels[unknown] = -1
    known = torch.tensor([0, 2, 3, 4, 6])
    some = evaluate(view, labels, ids, ks=[2])
    alone = evaluate(
        Representation(view.image[known], view.text[known]), labels[known], [ids[row] for row in known.tolist()], ks=[2]
    )
    assert some.summary(3) == alone.summary(3)
    assert some.labelled.tolist() == known.tolist()
    assert some.summary(0)["image_to_image"].unanswerable == ("pair 0",)
    assert some.instances["image_to_text"].queries == 7
    assert alone.instances["image_to_text"].queries == 5
    told = some.as_json(0)
    assert (told["pairs"], told["labelled"]) == (7, 5)


def test_without_any_label_there_is_retrieval_by_instance_alone() -> None:
    view, labels, ids = made_up([0, 1, 2])
    result = evaluate(view, torch.full_like(labels, -1), ids)
    assert result.tasks == {}
    assert result.summary(0) == {}
    labelled = evaluate(view, labels, ids)
    assert result.instance_summary(0) == labelled.instance_summary(0)
    assert json.loads(json.dumps(result.as_json(0)))["tasks"] == {}
