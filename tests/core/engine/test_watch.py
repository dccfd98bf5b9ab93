"""What is not finite is noticed before it reaches the weights, and named."""

from __future__ import annotations

import os

import pytest
import torch

from dckt_core.base.errors import DivergedError
from dckt_core.engine.processes import Engine
from dckt_core.engine.record import Loss
from dckt_core.engine.snapshot import Snapshot
from dckt_core.engine.watch import Fault, Watch, first_not_finite
from tests.support import tiny
from tests.support.processes import as_ranks


class BadGradient(torch.autograd.Function):
    """Passes a value on unchanged, and a gradient that is not finite back."""

    @staticmethod
    def forward(ctx, value, factor):
        ctx.factor = factor
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.factor, None


def trainer(discrepancy=tiny.mean_distance, **changes):
    kept: list[Snapshot] = []

    def keep(snapshot: Snapshot) -> None:  # as written to a file: what happens to the networks later does not reach it
        kept.append(Snapshot({name: value.clone() for name, value in snapshot.tensors.items()}, snapshot.facts))

    saved: list[str] = []
    config = tiny.config(**changes)
    made = tiny.trainer(config, discrepancy=discrepancy, save=lambda what, network: saved.append(what), keep=keep)
    return made, kept, saved


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_gradient_that_is_not_finite_stops_before_the_weights_change(factor, accumulation, caplog):
    def discrepancy(source, target):
        return BadGradient.apply(tiny.mean_distance(source, target), factor)

    caplog.set_level("INFO", logger="dckt")
    made, kept, _ = trainer(discrepancy, transfer__accumulation=accumulation, checkpoint_minutes=0)
    with pytest.raises(DivergedError) as caught:
        made.run()
    said = str(caught.value)
    assert said.startswith("transfer iteration 1 of 2, update 1: every loss is finite, but the gradient of 'source.")
    assert " is not, which discrepancy 'tiny' of tiny 0 gave (batch of source-train-" in said
    assert "try a lower rate, such as transfer.lr = 0.001, or a smaller loss.media.weight" in said
    assert "\n" not in said
    logged = next(record.getMessage() for record in caplog.records if "the batch was" in record.getMessage())
    assert logged.count("source-train-") == logged.count("target-train-") - 8 * accumulation == 8 * accumulation
    for role in ("source", "target"):
        last = kept[-1].under(f"network/{role}")
        learnt = dict(made.state.bare(role).named_parameters())
        assert all(torch.equal(last[name], value) for name, value in learnt.items()), "nothing was applied"


def test_the_last_snapshot_is_from_before():
    steps = 0

    def discrepancy(source, target):
        nonlocal steps
        steps += 1
        return tiny.mean_distance(source, target) * (float("nan") if steps > 6 * 4 else 1.0)

    made, kept, _ = trainer(discrepancy, checkpoint_minutes=0)
    with pytest.raises(DivergedError, match="update 5: the loss term 'discrepancy_image_fc6' is nan"):
        made.run()
    assert (kept[-1].facts["at"]["phase"], kept[-1].facts["at"]["update"]) == ("transfer", 4)
    assert first_not_finite(kept[-1].tensors.items()) is None
    again, *_ = trainer()
    again.restore(kept[-1])
    again.run()


@pytest.mark.parametrize("minutes", [0, 1e9])
def test_weights_that_the_last_update_spoilt_are_neither_kept_nor_saved(minutes):
    made, kept, saved = trainer(pretrain__lr=1e38, pretrain__source_updates=1, checkpoint_minutes=minutes)
    with pytest.raises(DivergedError, match=r"pretrain \w+, update \d+: .*such as pretrain.lr = 1e\+37"):
        made.run()
    assert [first_not_finite(snapshot.tensors.items()) for snapshot in kept] == [None] * len(kept)
    assert saved == []


def test_weights_are_looked_at_before_they_are_kept():
    made, kept, _ = trainer()
    with torch.no_grad():
        made.state.bare("target").fc10.weight[1, 4] = float("inf")
    with pytest.raises(DivergedError, match="'target.fc10.weight' holds numbers that are not finite"):
        made._watch.check_weights(made.state)


def watch_of(loss: float, gradient: list[float]) -> Fault | None:
    module = tiny.linear(2, 1)
    module.weight.grad = torch.tensor([gradient])
    watch = Watch(Engine("cpu"), tiny.config(), "a discrepancy")
    watch.saw(Loss(torch.tensor(loss), {"a": torch.tensor(1.0), "b": torch.tensor(loss)}), lambda: ["x", "y"])
    return watch.fault({"net": module})


def test_large_numbers_are_no_fault():
    assert watch_of(1e38, [1e30, 3e38]) is None, "its squares overflow and its values do not"
    assert watch_of(float("-inf"), [1.0, 1.0]) == Fault("the loss term 'b' is -inf", ["x", "y"])
    assert watch_of(0.0, [1.0, float("-inf")]) == Fault(
        "every loss is finite, but the gradient of 'net.weight' is not", ["x", "y"]
    )


def test_a_fault_is_told_once():
    watch = Watch(Engine("cpu"), tiny.config(), "a discrepancy")
    watch.saw(Loss(torch.tensor(float("nan"))), list)
    assert watch.fault({}) == Fault("the loss term 'total' is nan", [])
    watch.saw(Loss(torch.tensor(1.0)), list)
    assert watch.fault({}) is None


def test_whole_numbers_are_finite():
    named = {"counts": torch.tensor([2**40]), "rows": torch.ones(3), "bad": torch.tensor([1.0, float("nan")])}
    assert first_not_finite(named.items()) == "bad"
    assert first_not_finite(list(named.items())[:2]) is None


def test_all_processes_stop_together_with_the_words_of_the_one_that_met_it(tmp_path):
    def work() -> None:
        rank = os.environ["RANK"]
        made, *_ = trainer(lambda s, t: tiny.mean_distance(s, t) * (float("nan") if rank == "1" else 1.0))
        with pytest.raises(DivergedError) as caught:
            made.run()
        (tmp_path / rank).write_text(str(caught.value))
        made.engine.close()

    as_ranks(work)
    said = [(tmp_path / rank).read_text() for rank in "01"]
    assert said[0] == said[1]
    assert "the loss term 'discrepancy_image_fc6' is nan" in said[0]
