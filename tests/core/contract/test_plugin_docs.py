"""docs/plugins.md and the contract say the same, and the page's examples run."""

import dataclasses
import inspect
import re
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hatchling.build import build_wheel
from PIL import Image

import dckt_core
from dckt_core import API_VERSION
from dckt_core.base.rng import generator_for
from dckt_core.config import ENV_NOT_CONFIG
from dckt_core.contract import hookspecs, protocols, specs
from dckt_core.contract.discovery import HOOKS, Registered, discover
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedSampler
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import ImageItem, PairSet
from dckt_core.testing import CHECKS, assert_part_ok
from tests.support.tolerance import assert_same

PAGE = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text("utf-8")
EXAMPLES = {
    "An encoder": "encoder",
    "A discrepancy": "discrepancy",
    "A sampler": "sampler",
    "A data set": "dataset",
    "An index": "index",
    "An observer": "observer",
    "A part": "part",
}


def section(title: str) -> str:
    """What stands under a heading of the page."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def code(title: str) -> str:
    (block,) = re.findall(r"```python\n(.*?)```", section(title), re.DOTALL)
    return str(block)


@pytest.fixture
def plugin(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example under a heading, installed as a distribution of its own and found as any plugin is."""
    title = request.param
    (tmp_path / "documented_example.py").write_text(code(title), "utf-8")
    folder = tmp_path / "documented_example-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: documented-example\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[dckt]\nexample = documented_example\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = discover(environ={"DCKT_LOAD_PLUGINS": "documented-example"})
    (found,) = [entry for entry in registry.all(EXAMPLES[title]) if not entry.builtin]
    yield registry.find(EXAMPLES[title], found.name)
    del sys.modules["documented_example"]


def example(title: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("plugin", [title], indirect=True)


def build(plugin: Registered, context: Any = None, **options: Any) -> Any:
    return plugin.spec.build(parse_options(plugin.spec, options, where="the example"), context)


def test_every_hook_stands_there_with_its_signature() -> None:
    written = [line.removeprefix("def ") for line in code("Hooks").splitlines()]
    assert written == [name + str(inspect.signature(getattr(hookspecs, name))).replace("'", "") for name in HOOKS]


@pytest.mark.parametrize("spec_class", HOOKS.values())
def test_every_field_of_a_spec_is_named(spec_class: type[Any]) -> None:
    text = section("Hooks")
    assert f"`{spec_class.__name__}`" in text
    for field in dataclasses.fields(spec_class):
        assert re.search(rf"`{field.name}\b", text), f"{spec_class.__name__}.{field.name}"


@pytest.mark.parametrize("context", [name for name in vars(protocols) if name.endswith("Context")])
def test_the_table_of_contexts_is_complete(context: str) -> None:
    cls = getattr(protocols, context)
    (row,) = [line for line in section("Hooks").splitlines() if f"| `{context.removesuffix('Context')}Spec`" in line]
    written = set(re.findall(r"`(\w+)", row.split("|")[4]))
    methods = {name for name, value in vars(cls).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert written == {field.name for field in dataclasses.fields(cls)} | methods


@pytest.mark.parametrize(
    ("title", "cls"),
    [
        ("An encoder", protocols.Encoder),
        ("A sampler", protocols.Sampler),
        ("A sampler", protocols.SamplerState),
        ("A sampler", protocols.Selection),
        ("An index", protocols.Index),
        ("An observer", protocols.Observer),
        ("A part", protocols.Part),
        ("A part", protocols.Material),
        ("A discrepancy", protocols.LayerwiseDiscrepancy),
    ],
)
def test_every_member_of_a_protocol_is_named(title: str, cls: type[Any]) -> None:
    methods = {name for name in vars(cls) if not name.startswith("_") and callable(getattr(cls, name, None))}
    for name in methods | set(getattr(cls, "__annotations__", {})):
        assert re.search(rf"\b{name}\b", section(title)), name


TRAINING = {"ArgumentError", "CommonSpace", "Config", "Context", "Result", "resolve_config", "resume", "train"}
USING = {"Searcher", "TrainedModel", "add_to_index", "build_index", "evaluate", "extract", "load", "open_index"}
USERS = TRAINING | USING | {"bars", "export", "remove_from_index", "to_dataset"}
"""What the root offers those who work from Python, not those who write plugins."""


def test_what_an_author_may_import_is_what_the_page_names() -> None:
    offered = {name for name in dckt_core.__all__ if not name.startswith("__")} - USERS
    for name in offered - set(vars(protocols)):  # those are held to the page by the tests around
        assert re.search(rf"\b{name}\b", PAGE), name
    (table,) = re.findall(r"\n\| name \| \|\n\|---\|---\|\n(.*?)\n\n", section("Hooks"), re.DOTALL)
    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named <= offered


def test_environment_variables_are_those_of_the_loader() -> None:
    written = set(re.findall(r"^\| `DCKT_(\w+)=", section("Environment variables"), re.MULTILINE))
    assert written == {name for name in ENV_NOT_CONFIG if "PLUGIN" in name}


@pytest.mark.parametrize("kind", EXAMPLES.values())
def test_every_check_is_named_with_what_it_takes(kind: str) -> None:
    check = CHECKS[kind]
    (row,) = [line for line in section("Test yours").splitlines() if line.startswith(f"| `{check.__name__}` |")]
    assert re.findall(r"`(\w+)`", row) == [check.__name__, *list(inspect.signature(check).parameters)[1:]]


def test_every_kind_can_be_started() -> None:
    (line,) = [line for line in section("Start one").splitlines() if line.startswith("dckt new-plugin ")]
    named = re.sub(r"dckt new-plugin \S+ --kind|[#,]|\bor\b", "", line).split()
    assert sorted(named) == sorted(EXAMPLES.values())


@pytest.mark.parametrize("plugin", ["A discrepancy"], indirect=True)
def test_the_test(plugin: Registered) -> None:
    namespace: dict[str, Any] = {}
    exec(code("Test yours"), namespace)
    asked = []

    def installed(kind: str, name: str) -> Any:
        asked.append((kind, name))
        return plugin.spec

    namespace["installed"] = installed
    namespace["test_the_contract"]()
    assert asked == [("discrepancy", "means")] == [(plugin.kind, plugin.spec.name)]


@pytest.mark.parametrize("title", EXAMPLES)
def test_examples_state_the_version_that_they_are_written_for(title: str) -> None:
    assert re.findall(r'api="(.+?)"', code(title)) == [API_VERSION]


def test_the_example_of_options() -> None:
    namespace: dict[str, Any] = {"__name__": "documented_options"}
    sys.modules["documented_options"] = type(sys)("documented_options")
    try:
        exec(code("Options"), namespace)
        build: Any = lambda options, context: None  # noqa: E731
        spec = specs.SamplerSpec(name="s", summary="", options=namespace["Options"], build=build, api="1.0")
        parsed = parse_options(spec, {"alpha": "0.5", "widths": "2,3"}, where="it")
    finally:
        del sys.modules["documented_options"]
    assert (parsed.alpha, parsed.widths) == (0.5, (2, 3))


@example("An encoder")
def test_the_encoder(plugin: Registered, tmp_path: Path) -> None:
    for name, colour in {"a": (255, 0, 0), "b": (0, 51, 0)}.items():
        Image.new("RGB", (9, 7), colour).save(tmp_path / f"{name}.png")
    encoder = build(plugin, protocols.EncoderContext(seed=0, cache_dir=tmp_path))
    assert isinstance(encoder, protocols.Encoder)
    features = encoder.module(encoder.prepare([ImageItem(name, tmp_path / f"{name}.png") for name in "ab"]))
    assert features.shape == (2, encoder.dim)
    assert_same(features, [[1, 0, 0] * 16, [0, 0.2, 0] * 16], terms=3, dtype=torch.float32)


@example("A discrepancy")
def test_the_discrepancy(plugin: Registered) -> None:
    generator = generator_for(0, "test")
    source, target = torch.randn(5, 3, generator=generator), torch.randn(4, 3, generator=generator, requires_grad=True)
    context = protocols.DiscrepancyContext(seed=0, layers={"image_fc6": 3}, updates=1)
    values = GuardedDiscrepancy(build(plugin, context, power=1), plugin).many({"image_fc6": (source, target)}, 0.0)
    assert_same(values["image_fc6"], (source.mean(0) - target.mean(0)).abs().sum(), terms=source.numel())
    values["image_fc6"].backward()
    assert target.grad is not None


@example("A sampler")
def test_the_sampler(plugin: Registered) -> None:
    losses = torch.tensor([3.0, 1.0, 4.0, 1.5, 9.0])
    state: Any = SimpleNamespace(
        iteration=1,
        labels=torch.zeros(5, dtype=torch.int64),
        source_labels=torch.zeros(3, dtype=torch.int64),
        generator=generator_for(0, "test"),
        target_losses=lambda: losses,
    )
    selection = GuardedSampler(build(plugin, protocols.SamplerContext(iterations=2)), plugin).select(state)
    assert selection.indices.tolist() == [1, 3, 0]
    assert selection.details["loss"] is losses


@example("A data set")
def test_the_data_set(plugin: Registered, tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    folder.mkdir()
    assert not plugin.spec.detect(folder)
    (folder / "pairs.csv").write_text('image,text,label,split\na.png,"a dog, running",dog,train\n')
    assert plugin.spec.detect(folder)
    options = parse_options(plugin.spec, {}, where="it")
    pair_set = plugin.spec.load(folder, options, protocols.DatasetContext(cache_dir=tmp_path))
    assert isinstance(pair_set, PairSet)
    (pair,) = pair_set.split("train")
    assert (pair.image, pair.text, pair.label) == (folder / "a.png", "a dog, running", "dog")


@example("An index")
def test_the_index(plugin: Registered, tmp_path: Path) -> None:
    context = protocols.IndexContext(dim=2, seed=0)
    index = build(plugin, context)
    index.add(["right", "up", "left"], torch.tensor([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]]))
    index.add(["left"], torch.tensor([[-1.0, -1.0]]))
    index.remove(["right"])
    with pytest.raises(KeyError):
        index.remove(["right"])
    index.save(tmp_path)
    again = build(plugin, context)
    again.load(tmp_path)
    assert len(again) == 2
    ids, cosines = again.search(torch.tensor([[0.0, 5.0]]), 9)
    assert ids == [["up", "left"]]
    assert_same(cosines, [[1.0, -(0.5**0.5)]], terms=2, dtype=torch.float32)


@example("An observer")
def test_the_observer(plugin: Registered, tmp_path: Path) -> None:
    observer = build(plugin, protocols.ObserverContext(run_dir=tmp_path))
    observer.on_metrics({"phase": "transfer", "loss": 0.5})
    observer.on_selection(2, [{"id": "a", "kept": 1}, {"id": "b", "kept": 0}])
    observer.on_end({})
    assert (tmp_path / "lines.jsonl").read_text().splitlines() == [
        '{"phase": "transfer", "loss": 0.5}',
        '{"iteration": 2, "kept": 1}',
    ]


@example("A part")
def test_the_part(plugin: Registered) -> None:
    assert_part_ok(plugin.spec)


def test_the_distribution_of_the_page_can_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (described,) = re.findall(r"```toml\n(.*?)```", PAGE.split("\n## ")[0], re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(described, "utf-8")
    (tmp_path / "my_module.py").write_text(code("A discrepancy"), "utf-8")
    monkeypatch.chdir(tmp_path)
    built = zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path)))
    assert "my_module.py" in built.namelist()
    (entry_points,) = [name for name in built.namelist() if name.endswith("entry_points.txt")]
    assert "my-plugin = my_module" in built.read(entry_points).decode()
