"""Discovery in this process: distributions are written as pip leaves them, a module and a dist-info folder."""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dckt_core import DatasetSpec, DiscrepancySpec, SamplerSpec
from dckt_core.base.errors import DataError, PluginError, UsageError
from dckt_core.contract.discovery import HOOKS, Failure, Registered, Registry, blame, discover, load_registry
from dckt_core.contract.patience import limit_of

Install = Callable[..., None]

SPEC = """
from dckt_core import DiscrepancySpec, hookimpl

@hookimpl
def dckt_discrepancies():
    return [DiscrepancySpec(name="{name}", summary="a test", build=lambda options, context: None, {more})]
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with one module and one entry point that names it."""
    monkeypatch.syspath_prepend(tmp_path)
    loaded = set(sys.modules)

    def install(distribution: str, source: str, *, metadata: str | None = None) -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        folder = tmp_path / f"{module}-3.2.dist-info"
        folder.mkdir()
        stated = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 3.2\n" if metadata is None else metadata
        (folder / "METADATA").write_text(stated)
        (folder / "entry_points.txt").write_text(f"[dckt]\n{distribution}-point = {module}\n")

    yield install
    for name in set(sys.modules) - loaded:
        if (tmp_path / f"{name}.py").is_file():
            del sys.modules[name]


def spec(name: str, **more: str) -> str:
    return SPEC.format(name=name, more=", ".join(f"{key}={value}" for key, value in ({"api": "'1.0'"} | more).items()))


def failures_of(registry: Registry, distribution: str) -> list[str]:
    return [str(failure) for failure in registry.failures if failure.distribution == distribution]


def test_a_good_plugin_is_found(install: Install) -> None:
    install("good-one", spec("distance"))
    registry = discover(environ={})
    found = registry.find("discrepancy", "distance")
    assert (found.distribution, found.version, found.entry_point) == ("good-one", "3.2", "good-one-point")
    assert not found.builtin
    assert found.name == found.qualified_name == "good-one:distance"
    assert registry.find("discrepancy", "Good_One:distance") is found
    assert found in registry.all("discrepancy")
    assert str(found) == "discrepancy 'distance' of good-one 3.2"
    assert not failures_of(registry, "good-one")


def test_what_ships_in_the_box_comes_first_and_loads_without_fault() -> None:
    registry = discover(plugins=False, environ={})
    assert not registry.failures
    for kind, names in {"encoder": {"vgg19", "wordcnn"}, "discrepancy": {"mmd"}, "dataset": {"jsonl"}}.items():
        members = registry.all(kind)
        assert names <= {entry.name for entry in members}
        assert all(entry.builtin for entry in members)


BROKEN = {
    "import-error": ("import nothing_of_the_kind", "its import raised ModuleNotFoundError"),
    "syntax-error": ("def", "its import raised SyntaxError"),
    "exit": ("import sys; sys.exit(3)", "its import raised SystemExit: 3"),
    "silent-exit": ("raise SystemExit", "its import raised SystemExit"),
    "no-hook": ("x = 1", "it implements no hook"),
    "misspelled": (
        "from dckt_core import hookimpl\n@hookimpl\ndef dckt_sampler(): return []",
        "there is no hook 'dckt_sampler': did you mean 'dckt_samplers'?",
    ),
    "unmarked": ("def dckt_samplers(): return []", "dckt_samplers is not marked @hookimpl"),
    "signature": (
        "from dckt_core import hookimpl\n@hookimpl\ndef dckt_samplers(state): return []",
        "dckt_samplers(state) does not fit the hook: Argument(s) {'state'}",
    ),
    "raises": (
        "from dckt_core import hookimpl\n@hookimpl\ndef dckt_samplers(): raise OSError('a\\nb')",
        "dckt_samplers raised OSError: a b",
    ),
    "exits-in-hook": (
        "from dckt_core import hookimpl\n@hookimpl\ndef dckt_samplers(): raise SystemExit(0)",
        "dckt_samplers raised SystemExit: 0",
    ),
    "raises-late": (
        "from dckt_core import hookimpl\n@hookimpl\ndef dckt_samplers():\n    yield 1 / 0",
        "dckt_samplers raised ZeroDivisionError",
    ),
    "none": (
        "from dckt_core import hookimpl\n@hookimpl\ndef dckt_samplers(): return None",
        "dckt_samplers must return a list of SamplerSpec, and returned nothing",
    ),
    "number": (
        "from dckt_core import hookimpl\n@hookimpl\ndef dckt_samplers(): return 7",
        "dckt_samplers raised TypeError",
    ),
    "text": (
        "from dckt_core import hookimpl\n@hookimpl\ndef dckt_samplers(): return 'all'",
        "dckt_samplers must return a list of SamplerSpec, and it holds 'a'",
    ),
    "wrong-kind": (
        spec("d").replace("def dckt_discrepancies", "def dckt_samplers"),
        "dckt_samplers must return a list of SamplerSpec, and it holds DiscrepancySpec(",
    ),
    "wrapper": (
        "from dckt_core import hookimpl\n@hookimpl(wrapper=True)\ndef dckt_samplers(): return (yield)",
        "dckt_samplers must return a list of SamplerSpec, and returned nothing",
    ),
    "no-version": (
        spec("d").replace("api='1.0'", ""),
        "raised TypeError: DiscrepancySpec.__init__() missing 1 required keyword-only argument: 'api'",
    ),
    "spec-error": (spec("d", colour="'red'"), "dckt_discrepancies raised TypeError"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_left_out_and_named(name: str, install: Install) -> None:
    source, reason = BROKEN[name]
    install(name, source)
    install("zz-good", spec("distance"))
    registry = discover(environ={})
    (line,) = failures_of(registry, name)
    assert line.startswith(f"plugin '{name}-point' of {name} 3.2 is left out: ")
    assert reason in line
    assert "\n" not in line
    assert registry.find("discrepancy", "distance").distribution == "zz-good"
    assert registry.find("discrepancy", "mmd").builtin


BAD_SPECS = {
    "future": (spec("d", api="'2.0'"), "it is written for version 2.0 of the contract, and this is 1."),
    "past": (spec("d", api="'0.9'"), "it is written for version 0.9 of the contract, and this is 1."),
    "api-number": (spec("d", api="None"), "it is written for version None"),
    "upper": (spec("Big"), "the name 'Big' is not of lower-case letters"),
    "colon": (spec("a:b"), "the name 'a:b' is not of lower-case letters"),
    "summary": (spec("d").replace("a test", "two\\nlines"), "its summary is not one line of text"),
    "options": (spec("d", options="dict"), "its options are <class 'dict'>, not a dataclass"),
    "options-instance": (
        spec("d", options="__import__('dckt_core.contract.specs').contract.specs.NoOptions()"),
        "its options are NoOptions(), not a dataclass",
    ),
    "no-default": (
        spec("d", options="Options")
        + "\nimport dataclasses\nOptions = dataclasses.make_dataclass('Options', [('alpha', float)])",
        "its option 'alpha' has no default",
    ),
    "no-call": (spec("d").replace("lambda options, context: None", "42"), "its build cannot be called"),
    "no-colon": (
        spec("d").replace("lambda options, context: None", "'my_module.build'"),
        "its build is 'my_module.build', which is not of the form 'module:function'",
    ),
    "no-function": (
        spec("d").replace("lambda options, context: None", "'my_module:'"),
        "its build is 'my_module:', which is not of the form 'module:function'",
    ),
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_a_bad_spec_is_left_out_alone(name: str, install: Install) -> None:
    source, reason = BAD_SPECS[name]
    good = ', DiscrepancySpec(name="beside", summary="", build=lambda options, context: None, api="1.0")]'
    install(name, good.join(source.rsplit("]", 1)) if "make_dataclass" not in source else source)
    registry = discover(environ={})
    (line,) = failures_of(registry, name)
    assert f" of {name} 3.2 is left out: " in line
    assert reason in line
    if "make_dataclass" not in source:
        assert registry.find("discrepancy", "beside").distribution == name


def named(reference: str) -> str:
    return spec("d").replace("lambda options, context: None", repr(reference))


def test_a_function_by_name_is_imported_when_it_is_first_called(install: Install, tmp_path: Path) -> None:
    (tmp_path / "heavy_part.py").write_text("def build(options, context):\n    return [context]\n")
    install("lazy", named("heavy_part:build"))
    found = discover(environ={}).find("discrepancy", "d")
    assert "heavy_part" not in sys.modules
    assert found.spec.build(None, 3) == [3]
    assert "heavy_part" in sys.modules


def test_a_data_set_may_name_both_its_functions(tmp_path: Path, install: Install) -> None:
    (tmp_path / "heavy_set.py").write_text("def load(*given): return given\ndef detect(path): return path == 3\n")
    made = DatasetSpec(name="d", summary="", load="heavy_set:load", detect="heavy_set:detect", api="1.0")
    assert (made.detect(3), made.detect(4), made.load(1, 2, 3)) == (True, False, (1, 2, 3))  # type: ignore[operator]


FAULTY_NAMES = {
    "gone-module": ("nothing_of_the_kind.at_all:build", "names nothing: there is no module 'nothing_of_the_kind'"),
    "gone-part": ("faulty_part.at_all:build", "names nothing: there is no module 'faulty_part.at_all'"),
    "gone-function": ("faulty_part:bild", "names nothing that can be called: did you mean 'build'? (known: build)"),
    "no-function": ("faulty_part:number", "names nothing that can be called (known: build)"),
    "its-own-import": ("faulty_import:build", "raised ModuleNotFoundError: No module named 'absent_library'"),
    "exits": ("faulty_exit:build", "raised SystemExit: 3"),
}


@pytest.mark.parametrize("name", FAULTY_NAMES)
def test_a_name_that_leads_nowhere_is_its_plugins_error_in_one_line(
    name: str, install: Install, tmp_path: Path
) -> None:
    reference, reason = FAULTY_NAMES[name]
    (tmp_path / "faulty_part.py").write_text("import math\nnumber = 3\ndef build(options, context): ...\n")
    (tmp_path / "faulty_import.py").write_text("import absent_library\ndef build(options, context): ...\n")
    (tmp_path / "faulty_exit.py").write_text("import sys\nsys.exit(3)\n")
    install(name, named(reference))
    registry = discover(environ={})
    assert not failures_of(registry, name)  # nobody has looked yet
    found = registry.find("discrepancy", "d")
    for ask in (lambda: found.spec.build(None, None), found.spec.import_functions):
        with pytest.raises(PluginError) as caught, blame(found):
            ask()
        line = str(caught.value)
        assert line.startswith(f"discrepancy 'd' of {name} 3.2")
        assert reason in line
        assert "\n" not in line


def test_a_later_minor_version_of_the_contract_is_taken(install: Install) -> None:
    install("newer", spec("d", api="'1.7'"))
    assert discover(environ={}).find("discrepancy", "d").spec.api == "1.7"


def test_metadata_that_cannot_be_read_does_not_end_the_program(install: Install) -> None:
    install("no-metadata", "import nothing_of_the_kind", metadata="")
    registry = discover(environ={})
    assert any("no-metadata-point" in str(failure) for failure in registry.failures)
    assert registry.find("discrepancy", "mmd").builtin


def test_a_built_in_keeps_its_name(install: Install) -> None:
    install("rival", spec("mmd"))
    registry = discover(environ={})
    assert registry.find("discrepancy", "mmd").builtin
    assert registry.find("discrepancy", "dckt:mmd").builtin
    rival = registry.find("discrepancy", "rival:mmd")
    assert rival.distribution == "rival"
    assert registry.clashing("discrepancy") == [rival]
    assert rival not in registry.all("discrepancy")
    (line,) = failures_of(registry, "rival")
    assert "discrepancy 'mmd' of rival 3.2" in line
    assert "'rival:mmd' finds this one" in line


def test_of_two_strangers_with_one_name_neither_wins(install: Install) -> None:
    install("first", spec("twin"))
    install("second", spec("twin"))
    registry = discover(environ={})
    with pytest.raises(UsageError, match=r"more than one distribution: say 'first:twin' or 'second:twin'"):
        registry.find("discrepancy", "twin")
    assert registry.find("discrepancy", "second:twin").distribution == "second"
    assert {entry.distribution for entry in registry.clashing("discrepancy")} == {"first", "second"}
    assert "twin" not in {entry.spec.name for entry in registry.all("discrepancy")}


def test_a_distribution_offers_a_name_once(install: Install) -> None:
    one = 'DiscrepancySpec(name="d", summary="", build=lambda options, context: None, api="1.0")'
    source = (
        f"from dckt_core import DiscrepancySpec, hookimpl\n@hookimpl\ndef dckt_discrepancies(): return [{one}, {one}]"
    )
    install("twice", source)
    registry = discover(environ={})
    assert registry.find("discrepancy", "d").distribution == "twice"
    (line,) = failures_of(registry, "twice")
    assert "offers it already" in line


def test_unknown_names_get_a_suggestion(install: Install) -> None:
    install("good-one", spec("distance"))
    registry = discover(environ={})
    with pytest.raises(UsageError, match=r"unknown discrepancy 'distanse': did you mean 'distance'\? \(known: .*mmd"):
        registry.find("discrepancy", "distanse")
    with pytest.raises(UsageError, match="unknown discrepancy 'good-on:distance'"):
        registry.find("discrepancy", "good-on:distance")
    with pytest.raises(UsageError, match="unknown encoder 'distance'"):
        registry.find("encoder", "distance")


def test_asking_for_what_was_left_out_says_why(install: Install) -> None:
    install("future", spec("tomorrow", api="'2.0'"))
    with pytest.raises(PluginError, match=r"'tomorrow' of future 3\.2 is left out: it is written for version 2\.0"):
        discover(environ={}).find("discrepancy", "tomorrow")


def test_a_default_that_breaks_its_own_rule_is_the_plugins_fault(install: Install) -> None:
    options = "\nfrom dataclasses import make_dataclass, field\nfrom typing import Annotated\n"
    options += "from annotated_types import Le\n"
    options += "Options = make_dataclass('Options', [('alpha', Annotated[float, Le(1)], field(default=2.0))])\n"
    install("bad-default", spec("d", options="Options") + options)
    registry = discover(environ={})
    message = r"discrepancy 'd' of bad-default 3\.2: its default of option 'alpha' is invalid: .*number <= 1, not 2\.0"
    with pytest.raises(PluginError, match=message):
        registry.find("discrepancy", "d")


def test_load_plugins_chooses_distributions(install: Install) -> None:
    install("good-one", spec("one"))
    install("good-two", spec("two"))
    registry = discover(environ={"DCKT_LOAD_PLUGINS": "Good_One, absent"})
    strangers = {entry.distribution for entry in registry.all("discrepancy") if not entry.builtin}
    assert strangers == {"good-one"}
    (line,) = failures_of(registry, "absent")
    assert "DCKT_LOAD_PLUGINS names it" in line
    assert all(entry.builtin for entry in discover(environ={"DCKT_LOAD_PLUGINS": ""}).all("discrepancy"))


def test_no_plugins_means_the_box_alone(install: Install) -> None:
    install("exits", "raise SystemExit")
    registry = discover(plugins=False, environ={"DCKT_LOAD_PLUGINS": "exits"})
    assert not failures_of(registry, "exits")
    assert registry.find("discrepancy", "mmd").builtin


def test_each_failure_is_one_warning_and_strict_makes_it_an_error(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("one-exits", "raise SystemExit")
    install("two-raises", "1 / 0")
    load_registry(environ={"DCKT_STRICT_PLUGINS": "0"})
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    for name in ("one-exits", "two-raises"):
        (line,) = [line for line in caplog.messages if name in line]
        assert line.startswith(f"dckt: warning: plugin '{name}-point' of {name} 3.2 is left out: ")
    with pytest.raises(PluginError, match=r"one-exits 3\.2 is left out: .*\(1 more: dckt plugins check\)"):
        load_registry(environ={"DCKT_STRICT_PLUGINS": "1"})
    load_registry(plugins=False, environ={"DCKT_STRICT_PLUGINS": "1"})


def test_trace_names_each_call(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    """As warnings of the logger, which the command shows on stderr."""
    install("good-one", spec("distance"))
    discover(environ={"DCKT_TRACE_PLUGINS": "1"})
    lines = [line.split() for line in caplog.messages if "good-one" in line]
    assert [line[2:4] for line in lines] == [
        ["good-one:good-one-point", "import"],
        ["good-one:good-one-point", "dckt_discrepancies"],
    ]
    assert all(float(line[4]) >= 0 and line[5] == "ms" for line in lines)
    caplog.clear()
    discover(environ={})
    assert not caplog.messages


def test_what_a_plugin_prints_does_not_reach_stdout(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("chatty", "print('at import')\n" + spec("d").replace("    return", "    print('in hook')\n    return"))
    discover(environ={})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "at import\nin hook\n"


def test_listing_imports_neither_torch_nor_pydantic() -> None:
    program = (
        "import sys; from dckt_core.contract.discovery import load_registry; load_registry(plugins=False);"
        "print([name for name in ('torch', 'pydantic', 'numpy', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_hooks_and_their_specs_are_those_of_the_contract() -> None:
    from dckt_core.contract import hookspecs

    assert list(HOOKS) == [name for name in vars(hookspecs) if name.startswith("dckt_")]
    for name, spec_class in HOOKS.items():
        assert getattr(hookspecs, name).__annotations__["return"] == f"Iterable[{spec_class.__name__}[Any]]"


# --- blame ----------------------------------------------------------------------------------------------------


def registered(**names: str) -> Registered:
    plugin: SamplerSpec[Any] = SamplerSpec(name="s", summary="", build=lambda options, context: None, api="1.0")  # type: ignore[arg-type,return-value]
    return Registered(plugin, **({"distribution": "theirs", "version": "1.0", "entry_point": "s"} | names))


@pytest.mark.parametrize("error", [ValueError("a\nb"), KeyError("x"), SystemExit(0), RuntimeError()])
def test_blame_names_the_plugin_in_one_line(error: BaseException) -> None:
    with pytest.raises(PluginError) as caught, blame(registered()):
        raise error
    assert caught.value.__cause__ is error
    assert str(caught.value).startswith(f"sampler 's' of theirs 1.0 raised {type(error).__name__}")
    assert "\n" not in str(caught.value)


def test_blame_completes_a_plugin_error_once() -> None:
    with pytest.raises(PluginError) as caught, blame(registered()), blame(registered()):
        raise PluginError("rows are out of range")
    assert str(caught.value) == "sampler 's' of theirs 1.0: rows are out of range"


@pytest.mark.parametrize("error", [DataError("a.png: truncated"), UsageError("no"), KeyboardInterrupt()])
def test_blame_lets_what_is_not_the_plugins_fault_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, blame(registered()):
        raise error
    assert caught.value is error


def test_a_registry_is_made_by_hand_too() -> None:
    builtin, stranger = registered(distribution="dckt"), registered()
    assert Registry([stranger, builtin]).find("sampler", "s") is builtin
    assert builtin.name == "s"
    failure = Failure("theirs", "1.0", "s", "because", name="s")
    with pytest.raises(PluginError, match=r"plugin 's' of theirs 1\.0 is left out: because"):
        Registry(failures=[failure]).find("sampler", "s")


def test_a_name_of_a_distribution_that_is_left_out_is_no_typo() -> None:
    whole = Failure("their.s", "1.0", "point", "because", name="point")
    one_spec = Failure("others", "1.0", "point", "because", name="s", kind="sampler")
    registry = Registry(failures=[one_spec, whole])
    said = r"^unknown sampler 'their-s:t': plugin 'point' of their\.s 1\.0 is left out: because$"
    with pytest.raises(PluginError, match=said):
        registry.find("sampler", "their-s:t")
    for name in ("t", "others:t"):
        with pytest.raises(UsageError, match=rf"^unknown sampler '{name}' \(none are known\)"):
            registry.find("sampler", name)


def test_kinds_are_kept_apart() -> None:
    other = Registered(
        DiscrepancySpec(name="s", summary="", build=lambda options, context: None, api="1.0"),  # type: ignore[arg-type,return-value]
        distribution="theirs",
        version="1.0",
        entry_point="s",
    )
    registry = Registry([registered(), other])
    assert registry.find("discrepancy", "s") is other
    assert registry.find("sampler", "s") is not other


# --- plugins that hang ------------------------------------------------------------------------------------------

HANGS = """
import time
try:
    time.sleep(600)
except Exception:
    pass
"""
SPINS = """
while True:
    pass
"""
IN_HOOK = """
from dckt_core import hookimpl

@hookimpl
def dckt_discrepancies():
    import time
    time.sleep(600)
"""


@pytest.mark.parametrize(("source", "what"), [(HANGS, "its import"), (SPINS, "its import"), (IN_HOOK, "dckt_disc")])
def test_a_plugin_that_hangs_is_named_and_left_out(install: Install, source: str, what: str) -> None:
    install("hanging-one", source)
    install("patient-one", spec("distance"))
    before = signal.getsignal(signal.SIGALRM)
    registry = discover(environ={"DCKT_PLUGIN_TIMEOUT": "0.5"})
    (failure,) = failures_of(registry, "hanging-one")
    assert "of hanging-one 3.2 is left out: " in failure
    assert what in failure
    assert "takes more than 0.5 s (DCKT_PLUGIN_TIMEOUT)" in failure
    assert registry.find("discrepancy", "patient-one:distance")
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_off_the_main_thread_the_one_that_hangs_is_named(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("slow-one", "import time\ntime.sleep(0.6)\n" + spec("distance"))
    caplog.set_level(logging.WARNING, logger="dckt")
    found: list[Registry] = []
    thread = threading.Thread(target=lambda: found.append(discover(environ={"DCKT_PLUGIN_TIMEOUT": "0.1"})))
    thread.start()
    thread.join()
    assert found[0].find("discrepancy", "slow-one:distance"), "it is waited for"
    assert "slow-one 3.2: its import takes more than 0.1 s" in caplog.text


@pytest.mark.parametrize("said", ["-1", "soon", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match=f"DCKT_PLUGIN_TIMEOUT: '{said}' is no number of seconds"):
        discover(environ={"DCKT_PLUGIN_TIMEOUT": said})


def test_no_limit_is_none() -> None:
    assert limit_of({"DCKT_PLUGIN_TIMEOUT": "0"}) == 0
    assert limit_of({}) == 60


def test_an_interrupt_names_the_plugin_that_had_the_word(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("rude-one", "raise KeyboardInterrupt")
    caplog.set_level(logging.WARNING, logger="dckt")
    with pytest.raises(KeyboardInterrupt):
        discover(environ={})
    assert "interrupted in the plugin rude-one 3.2: its import" in caplog.text
