from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_core.base.errors import DivergedError, PluginError, UsageError
from dckt_core.contract.protocols import Selection
from dckt_core.engine.processes import Engine
from tests.support import tiny


class Recorder:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.selections: list[tuple[int, list[Any]]] = []

    def on_metrics(self, row: Any) -> None:
        self.rows.append(dict(row))

    def on_selection(self, iteration: int, rows: Any) -> None:
        self.selections.append((iteration, list(rows)))

    def on_end(self, summary: Any) -> None: ...


def run(*, sampler: Any = None, discrepancy: Any = tiny.mean_distance, trainable: bool = False, **changes: Any):
    """Trains on two tiny domains: the trainer, the outcome and the weights that were saved."""
    saved: dict[str, dict[str, Tensor]] = {}
    recorder = Recorder()
    trainer = tiny.trainer(
        tiny.config(**changes),
        sampler=sampler,
        discrepancy=discrepancy,
        trainable=trainable,
        save=lambda what, network: saved.update({what: {k: v.clone() for k, v in network.state_dict().items()}}),
        observers=[recorder],
    )
    outcome = trainer.run()
    final = {role: trainer.state.bare(role).state_dict() for role in trainer.state.networks}
    return trainer, outcome, saved, final, recorder


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


NO_DISCREPANCY = {"loss__media__weight": 0.0, "loss__correlation__weight": 0.0}


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("accumulation", [1, 3])
def test_without_discrepancy_the_target_trains_exactly_as_it_would_alone(trainable, accumulation):
    changes = {"transfer__accumulation": accumulation, "trainable": trainable}
    *_, final, _ = run(**changes, **NO_DISCREPANCY)
    assert same(final["target"], final["control"])
    *_, tied, _ = run(**changes)
    assert not same(tied["target"], tied["control"])
    assert same(tied["control"], final["control"]), "the control knows nothing of the source"


def test_the_start_competes_where_it_may():
    ruins = {"transfer__lr": 3.0, "pretrain__target_updates": 40}
    _, outcome, saved, *_ = run(**ruins, transfer__keep_start=True)
    assert (outcome.after.iteration, outcome.after.score) == (0, outcome.before)
    assert outcome.control.iteration == 0
    assert same(saved["after"], saved["before"])
    assert same(saved["control"], saved["before"])
    _, without, *_ = run(**ruins)
    assert without.after.iteration > 0
    assert without.after.score.mean < outcome.before.mean


def test_the_momentum_of_pre_training_is_let_go():
    def optimizers() -> set[int]:
        gc.collect()
        return {id(thing) for thing in gc.get_objects() if type(thing) is torch.optim.SGD}

    before = optimizers()
    trainer, *_ = run()
    assert optimizers() - before == {id(optimizer) for optimizer in trainer.state.optimizers.values()}
    assert len(trainer.state.optimizers) == 3


def test_same_seed_same_bits_another_seed_others():
    first, second, third = run()[3], run()[3], run(seed=1)[3]
    assert all(same(first[role], second[role]) for role in first)
    assert not same(first["target"], third["target"])


def test_source_start_hands_over_all_but_the_classifier():
    _, _, _, own, _ = run()
    _, outcome, saved, started, _ = run(network__target_init="source")
    assert not same(own["target"], started["target"])
    assert same(own["control"], started["control"]), "the control starts from its own pre-training either way"
    assert saved["before"]["fc10.weight"].shape == (3, 12)


def test_what_is_saved_is_the_best_on_validation():
    trainer, outcome, saved, final, recorder = run(transfer__iterations=4)
    reached = {row["iteration"]: row["target_map_mean"] for row in recorder.rows if "target_map_mean" in row}
    assert sorted(reached) == [0, 1, 2, 3, 4]
    best = max(range(1, 5), key=lambda iteration: reached[iteration])
    assert outcome.after.iteration == best
    assert outcome.after.score.mean == pytest.approx(reached[best])
    assert outcome.before.mean == pytest.approx(reached[0])
    assert set(saved) == {"before", "source-before", "after", "control", "source"}
    network = trainer.state.bare("target")
    network.load_state_dict(saved["after"])
    assert trainer._score("target").mean == pytest.approx(outcome.after.score.mean)


def test_metrics_tell_the_losses_the_discrepancies_and_the_selection():
    *_, recorder = run()
    curve = [row for row in recorder.rows if row["phase"] == "transfer"]
    assert [(row["iteration"], row["update"]) for row in curve] == [(i, u) for i in (1, 2) for u in range(1, 6)]
    for name in ("source_semantic", "target_semantic", "control_semantic", "target_pair_fc6", "discrepancy_image_fc6",
                 "discrepancy_common_fc9"):  # fmt: skip
        assert all(row[name] >= 0 for row in curve)
    chosen = [row for row in recorder.rows if row["phase"] == "selection"]
    assert [row["kept"] for row in chosen] == [10, 10]
    assert all({"score_mean", "score_kept", "score_left"} <= row.keys() for row in chosen)
    iteration, rows = recorder.selections[0]
    assert iteration == 1
    assert len(rows) == 15
    assert [row["kept"] for row in rows] == [int(n % 3 != 1) for n in range(15)]


# A batch's own statistics alone make the means equal; those of both domains pull a layer back to a spread of its own.
@pytest.mark.parametrize(("batch_norm", "left"), [("none", 0.5), ("shared", 0.75)])
def test_a_discrepancy_that_pulls_brings_the_domains_closer(batch_norm, left):
    def gap(weight: float) -> float:
        """Mean discrepancy over all layers in the last iteration."""
        *_, recorder = run(
            transfer__iterations=3,
            transfer__updates=20,
            network__batch_norm=batch_norm,
            loss__media__weight=weight,
            loss__correlation__weight=weight,
        )
        rows = [row for row in recorder.rows if row["phase"] == "transfer" and row["iteration"] == 3]
        return sum(value for row in rows for name, value in row.items() if name.startswith("discrepancy_"))

    assert gap(1.0) < left * gap(1e-6)


def test_a_discrepancy_with_parameters_of_its_own_trains_them():
    class Learned(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, source: Tensor, target: Tensor) -> Tensor:
            return (self.scale * (source.mean() - target.mean())).square()

    learned = Learned()
    run(discrepancy=learned)
    assert float(learned.scale.detach()) != 1.0


class Fixed:
    """A sampler with a given answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def select(self, state: Any) -> Any:
        return self.answer

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None: ...


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "must return a Selection, not NoneType"),
        (Selection(indices=torch.tensor([], dtype=torch.int64)), "non-empty"),
        (Selection(indices=torch.tensor([0.5])), "int64"),
        (Selection(indices=torch.tensor([15])), "out of range: there are 15 target"),
        (Selection(indices=torch.tensor([-1])), "out of range"),
        (Selection(indices=torch.tensor([0]), source_indices=torch.tensor([24])), "there are 24 source"),
        (
            Selection(indices=torch.tensor([0]), details={"ap": torch.zeros(3)}),
            r"'ap' must be a tensor of shape \(15,\)",
        ),
    ],
)
def test_a_sampler_that_breaks_its_contract_is_named(answer, message):
    with pytest.raises(PluginError, match=message) as caught:
        run(sampler=Fixed(answer))
    assert "tiny" in str(caught.value)


def test_source_rows_can_be_left_out():
    selection = Selection(indices=torch.arange(15), source_indices=torch.tensor([0, 1]))
    assert not same(run(sampler=Fixed(selection))[3]["source"],
                    run(sampler=Fixed(Selection(indices=torch.arange(15))))[3]["source"])  # fmt: skip


@pytest.mark.parametrize(
    ("discrepancy", "message"),
    [
        (lambda s, t: s, "must be a scalar"),
        (lambda s, t: s.sum().detach(), "has no gradient"),
        (lambda s, t: 1 / 0, "division by zero"),
    ],
)
def test_a_discrepancy_that_breaks_its_contract_is_named(discrepancy, message):
    with pytest.raises(PluginError, match=message) as caught:
        run(discrepancy=discrepancy)
    assert "tiny" in str(caught.value)


def test_a_loss_that_is_not_finite_stops_and_names_the_term():
    expected = r"update 1: the loss term 'discrepancy_image_fc6' is nan, which discrepancy 'tiny' .* gave .*transfer.lr"
    with pytest.raises(DivergedError, match=expected):
        run(discrepancy=lambda s, t: (s.sum() - t.sum()) * float("nan"))


def test_a_learning_rate_that_blows_up_is_caught_in_pre_training():
    with pytest.raises(DivergedError, match=r"pretrain source, update \d+.*pretrain.lr"):
        run(pretrain__lr=1e30, network__batch_norm="none", pretrain__source_updates=50)


def test_batches_must_split_evenly_over_processes():
    class Two(Engine):
        @property
        def processes(self) -> int:
            return 2

    with pytest.raises(UsageError, match=r"transfer.batch = 7 must give each of 2 processes"):
        tiny.trainer(tiny.config(transfer__batch=7), engine=Two("cpu"))
