"""The method in one file of plain torch and the engine are the same computation."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_core.base.rng import generator_for
from dckt_core.config import Config
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedSampler
from dckt_core.engine.processes import Engine
from dckt_core.method.loop import Trainer
from dckt_core.runs.plugins import Plugins
from dckt_kernels import mk_mmd
from tests.support import box, tiny
from tests.support.tolerance import assert_same, path_terms

FILE = Path(__file__).parents[3] / "examples" / "method_in_one_file.py"
UPDATES = {"pretrain__source_updates": 12, "pretrain__target_updates": 8, "transfer__iterations": 3}


@pytest.fixture(scope="module")
def one_file() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("method_in_one_file", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def settings_of(one_file: ModuleType, config: Config) -> Any:
    """What the configuration says, under the names of the one file."""
    assert config.loss.attachments() == one_file.MEDIA_LEVEL | one_file.CORRELATION_LEVEL
    assert config.loss.pair.fc6 == config.loss.pair.fc7
    assert (config.loss.pair.reduction, config.optimizer.bias_decay) == ("half_mean", 0)
    assert (config.pretrain.batch, config.pretrain.lr) == (config.transfer.batch, config.transfer.lr)
    assert (config.pretrain.accumulation, config.transfer.accumulation) == (1, 1)
    assert config.network.batch_norm == "own" and config.network.target_init == "own"
    assert config.transfer.control and not config.transfer.keep_start
    return one_file.Settings(
        media_width=config.network.media_width,
        common_width=config.network.common_width,
        pair=config.loss.pair.fc6,
        semantic_source=config.loss.semantic.source,
        semantic_target=config.loss.semantic.target,
        batch=config.transfer.batch,
        lr=config.transfer.lr,
        lr_gamma=config.transfer.lr_gamma,
        lr_power=config.transfer.lr_power,
        momentum=config.optimizer.momentum,
        weight_decay=config.optimizer.weight_decay,
        bias_lr_factor=config.optimizer.bias_lr_factor,
        source_updates=config.pretrain.source_updates,
        target_updates=config.pretrain.target_updates,
        iterations=config.transfer.iterations,
        updates=config.transfer.updates,
        alpha=Plugins(config, box.registry()).config.sampler.options["alpha"],
    )


@dataclass(frozen=True)
class Trained:
    """Weights of each network, and the rows of each selection."""

    start: Mapping[str, Mapping[str, Tensor]]
    end: Mapping[str, Mapping[str, Tensor]]
    selections: list[list[int]]


class Recorder:
    def __init__(self) -> None:
        self.selections: list[list[int]] = []

    def on_metrics(self, row: Any) -> None: ...

    def on_selection(self, iteration: int, rows: Any) -> None:
        self.selections.append([number for number, row in enumerate(rows) if row["kept"]])

    def on_end(self, summary: Any) -> None: ...


def weights(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def domains(classes: int = 3) -> dict[str, Any]:
    """Source and target, the latter of so many classes."""
    return {
        "source": tiny.domain("source", classes=4, per_class=6),
        "target": tiny.domain("target", classes=classes, per_class=5),
    }


def by_engine(config: Config, sampler: GuardedSampler, discrepancy: GuardedDiscrepancy, classes: int = 3) -> Trained:
    members, recorder, saved = domains(classes), Recorder(), {}
    networks = tiny.networks(config, members["source"], members["target"])
    start = {role: weights(network) for role, network in networks.items()}
    trainer = Trainer(
        config,
        **members,
        networks=networks,
        sampler=sampler,
        discrepancy=discrepancy,
        engine=Engine("cpu"),
        save=lambda what, network: saved.update({what: weights(network)}),
        observers=[recorder],  # type: ignore[list-item]
    )
    trainer.run()
    end = {name: saved[name] for name in ("before", "after", "control")}
    final = {f"last {role}": weights(trainer.state.bare(role)) for role in ("source", "target")}
    return Trained(start, end | final, recorder.selections)


def by_one_file(one_file: ModuleType, config: Config, monkeypatch: pytest.MonkeyPatch, classes: int = 3) -> Trained:
    selections: list[list[int]] = []
    select: Callable[..., Tensor] = one_file.select

    def remembering(*args: Any) -> Tensor:
        rows = select(*args)
        selections.append(sorted(set(rows.tolist())))
        return rows

    monkeypatch.setattr(one_file, "select", remembering)
    members, settings = domains(classes), settings_of(one_file, config)
    splits = {role: member.train for role, member in members.items()}
    splits["validation"] = members["target"].splits["val"]
    networks = {
        role: one_file.DomainNetwork(
            tiny.IMAGE_DIM, tiny.TEXT_DIM, member.classes, settings, generator_for(config.seed, role)
        )
        for role, member in members.items()
    }
    start = {role: weights(network) for role, network in networks.items()}
    ended = one_file.train(
        networks,
        {name: one_file.Pairs(split.image, split.text, split.labels) for name, split in splits.items()},
        settings,
        {purpose: generator_for(config.seed, purpose) for purpose in one_file.PURPOSES},
    )
    end = {name: weights(network) for name, network in ended.items()}
    final = {f"last {role}": weights(network) for role, network in networks.items()}
    return Trained(start, end | final, selections)


@pytest.mark.parametrize("changes", [{}, {"sampler__alpha": 0.6, "transfer__lr_gamma": 0.5, "seed": 1}])
def test_the_engine_trains_the_same_to_the_last_bit(
    one_file: ModuleType, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """With one MMD for both, every sum is taken in the same order."""
    config = tiny.config(**UPDATES, **changes)
    _, discrepancy = tiny.guarded(tiny.Everything(), one_file.mmd)
    engine = by_engine(config, Plugins(config, box.registry()).sampler(), discrepancy)
    plain = by_one_file(one_file, config, monkeypatch)
    assert plain.selections == engine.selections
    assert 0 < min(map(len, plain.selections)) < 15, "no choice was made"
    assert_identical(plain.start, engine.start)
    assert_identical(plain.end, engine.end)
    before, after, control = (plain.end[name]["fc9.0.weight"] for name in ("before", "after", "control"))
    assert not torch.equal(before, after) and not torch.equal(control, after)


def assert_identical(found: Mapping[str, Mapping[str, Tensor]], expected: Mapping[str, Mapping[str, Tensor]]) -> None:
    assert found.keys() == expected.keys()
    for network, values in expected.items():
        assert list(found[network]) == list(values)
        different = [name for name, value in values.items() if not torch.equal(found[network][name], value)]
        assert not different, network


def test_of_iterations_that_score_the_same_both_keep_the_first(
    one_file: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is one class everything is found at once, and always."""
    config = tiny.config(**UPDATES)
    _, discrepancy = tiny.guarded(tiny.Everything(), one_file.mmd)
    engine = by_engine(config, Plugins(config, box.registry()).sampler(), discrepancy, classes=1)
    plain = by_one_file(one_file, config, monkeypatch, classes=1)
    assert_identical(plain.end, engine.end)
    assert not torch.equal(plain.end["after"]["fc8.0.weight"], plain.end["last target"]["fc8.0.weight"])


@pytest.mark.numerics
def test_the_kernels_of_the_toolkit_train_the_same(one_file: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their MMD is the same sum in another order."""
    config = tiny.config(**UPDATES, transfer__updates=3)
    plugins = Plugins(config, box.registry())
    engine = by_engine(config, plugins.sampler(), plugins.discrepancy())
    plain = by_one_file(one_file, config, monkeypatch)
    assert plain.selections == engine.selections
    updates = config.transfer.iterations * config.transfer.updates
    terms = updates * path_terms(tiny.networks(config, *domains().values())["target"])
    for network, values in engine.end.items():  # whole: a bias before BatchNorm is nothing but rounding
        found, expected = (torch.cat([v.flatten() for v in side.values()]) for side in (plain.end[network], values))
        assert_same(found, expected, terms=terms)


@pytest.mark.numerics
@pytest.mark.parametrize(("n", "m", "d"), [(8, 8, 16), (5, 9, 3), (2, 2, 40)])
def test_its_mmd_and_gradient_are_those_of_the_kernels(one_file: ModuleType, n: int, m: int, d: int) -> None:
    generator = torch.Generator().manual_seed(n)
    rows = [torch.randn(count, d, generator=generator, dtype=torch.float64).relu() for count in (n, m)]

    def value_and_gradient(mmd: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        source, target = (some.clone().requires_grad_() for some in rows)
        value = mmd(source, target + 1)
        return value, torch.cat(torch.autograd.grad(value, (source, target)))

    for found, expected in zip(value_and_gradient(one_file.mmd), value_and_gradient(mk_mmd), strict=True):
        assert_same(found, expected, terms=(n + m) ** 2 * d)


def test_rows_that_are_all_the_same_lie_nowhere_apart(one_file: ModuleType) -> None:
    same = torch.ones(3, 4, requires_grad=True)
    value = one_file.mmd(same, same)
    (gradient,) = torch.autograd.grad(value, same)
    assert float(value) == 0 and not gradient.any()


def test_its_settings_are_those_of_the_preset(one_file: ModuleType) -> None:
    config = Config.resolve(preset="paper")
    assert config.discrepancy.options == {"estimator": "biased", "kernel_num": 5, "kernel_mul": 2.0}
    assert config.sampler.options["rule"] == "paper"
    assert settings_of(one_file, config) == one_file.Settings()


def test_it_can_be_read_in_one_sitting_and_needs_nothing_of_the_toolkit() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    assert "import dckt" not in text and "from dckt" not in text


def test_it_runs_by_itself(one_file: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """On fewer updates than it would take."""
    settings = one_file.Settings

    def short(*widths: int, **lengths: int) -> Any:
        return settings(*widths, **dict.fromkeys(lengths, 2))

    monkeypatch.setattr(one_file, "Settings", short)
    one_file.main()
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["test", "mAP", "before", "control", "after"]
    assert len(rows) == 3
    assert all(0 < float(score) < 1 for row in rows for score in row.split()[2:])
