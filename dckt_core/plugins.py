"""Discovery: what is installed under the entry-point group `dckt`, loaded so that no plugin can break the program.

Each entry point is loaded alone. Whatever goes wrong is put down to its distribution in one warning line, that plugin
(or that one spec of it) is left out, and the rest goes on. Nothing here imports torch.

A plugin is arbitrary code that runs with the user's rights; it is not sandboxed.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from dckt_core import hookspecs
from dckt_core.errors import DcktError, PluginError, UsageError, did_you_mean
from dckt_core.specs import (
    API_VERSION,
    DatasetSpec,
    DiscrepancySpec,
    EncoderSpec,
    IndexSpec,
    ObserverSpec,
    SamplerSpec,
)

GROUP = "dckt"
OWN_DISTRIBUTION = "dckt"
HOOKS: dict[str, type[Any]] = {
    "dckt_encoders": EncoderSpec,
    "dckt_discrepancies": DiscrepancySpec,
    "dckt_samplers": SamplerSpec,
    "dckt_datasets": DatasetSpec,
    "dckt_indexes": IndexSpec,
    "dckt_observers": ObserverSpec,
}
"""Each hook and the class of the specs that it must return."""
KINDS: tuple[str, ...] = tuple(spec_class.kind for spec_class in HOOKS.values())

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True)
class Registered:
    """A spec and where it came from."""

    spec: Any
    distribution: str
    version: str
    entry_point: str

    @property
    def kind(self) -> str:
        return str(self.spec.kind)

    @property
    def name(self) -> str:
        return str(self.spec.name)

    @property
    def qualified_name(self) -> str:
        """`distribution:name`, which is never ambiguous."""
        return f"{self.distribution}:{self.name}"

    @property
    def builtin(self) -> bool:
        return self.distribution == OWN_DISTRIBUTION

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.distribution} {self.version}"


@dataclass(frozen=True)
class Failure:
    """A plugin, or one spec of it, that was left out."""

    distribution: str
    entry_point: str
    reason: str

    def __str__(self) -> str:
        return f"plugin '{self.entry_point}' of {self.distribution}: {self.reason}"


class Registry:
    """All that plugins offer, by kind and name. `load_registry` makes one."""

    def __init__(self, registered: Iterable[Registered], failures: Iterable[Failure] = ()) -> None:
        self._registered = tuple(registered)
        self.failures = tuple(failures)

    def all(self, kind: str | None = None) -> list[Registered]:
        """What is registered, of one kind or of all, built-ins first, then by name."""
        members = [entry for entry in self._registered if kind is None or entry.kind == kind]
        return sorted(members, key=lambda entry: (KINDS.index(entry.kind), not entry.builtin, entry.name))

    def find(self, kind: str, name: str) -> Registered:
        """The plugin that a name stands for; `distribution:name` picks one of several.

        Raises:
            UsageError: nobody, or more than one stranger, goes by that name.
        """
        members = self.all(kind)
        named = [entry for entry in members if name in (entry.name, entry.qualified_name)]
        builtin = [entry for entry in named if entry.builtin]
        if len(named) == 1 or builtin:
            return (builtin or named)[0]
        if named:
            choices = " or ".join(entry.qualified_name for entry in named)
            raise UsageError(f"{kind} '{name}' is offered by more than one plugin: say {choices}")
        raise UsageError(f"unknown {kind} '{name}': {did_you_mean(name, (entry.name for entry in members))}")


def load_registry(*, plugins: bool = True, environ: Mapping[str, str] = os.environ) -> Registry:
    """Loads every installed plugin that can be loaded, and warns of the others on stderr, a line each.

    Args:
        plugins: False takes what ships in the box alone.
        environ: `DCKT_LOAD_PLUGINS=a,b` names the distributions to load besides the box, `DCKT_STRICT_PLUGINS=1`
            turns any failure into an error, `DCKT_TRACE_PLUGINS=1` writes each hook call and its time to stderr.

    Raises:
        PluginError: something failed and `DCKT_STRICT_PLUGINS` is set.
    """
    wanted = environ.get("DCKT_LOAD_PLUGINS")
    allowed = None if wanted is None else {_canonical(name) for name in wanted.split(",") if name.strip()}
    trace = _is_set(environ, "DCKT_TRACE_PLUGINS")
    registered: list[Registered] = []
    failures: list[Failure] = []
    for entry in _entry_points():
        distribution, _ = _origin(entry)
        if distribution != OWN_DISTRIBUTION and not (plugins and (allowed is None or distribution in allowed)):
            continue
        try:
            found, faults = _load(entry, trace)
        except (Exception, SystemExit) as error:
            found, faults = [], [_one_line(error)]
        registered += found
        failures += [Failure(distribution, entry.name, reason) for reason in faults]
    failures += _clashes(registered)
    if failures and _is_set(environ, "DCKT_STRICT_PLUGINS"):
        raise PluginError("; ".join(str(failure) for failure in failures))
    for failure in failures:
        print(f"dckt: warning: {failure}", file=sys.stderr)
    return Registry(registered, failures)


@contextmanager
def blame(registered: Registered) -> Iterator[None]:
    """Whatever a plugin raises inside the block becomes a PluginError that names it. Errors of dckt's own pass.

    Raises:
        PluginError: naming the plugin and its distribution, with the original as its cause.
    """
    try:
        yield
    except PluginError as error:
        if str(registered) in str(error):
            raise
        raise PluginError(f"{registered}: {error}") from error
    except DcktError:
        raise
    except Exception as error:
        raise PluginError(f"{registered}: {_one_line(error)}") from error


def _entry_points() -> list[EntryPoint]:
    """Built-ins first, then strangers by distribution; an entry point that is installed twice counts once."""
    unique = {(_origin(entry)[0], entry.name, entry.value): entry for entry in entry_points(group=GROUP)}
    return [unique[key] for key in sorted(unique, key=lambda key: (key[0] != OWN_DISTRIBUTION, key))]


def _load(entry: EntryPoint, trace: bool) -> tuple[list[Registered], list[str]]:
    """What one entry point offers, and what is wrong with some of it."""
    module = entry.load()
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=entry.name)  # raises where an implementation asks for arguments no hook has
    implemented = {caller.name for caller in manager.get_hookcallers(module) or []}
    faults = [
        f"'{name}' is no hook: {did_you_mean(name, HOOKS)}"
        for name in sorted(implemented | _unmarked(module))
        if name not in HOOKS
    ]
    faults += [f"'{name}' lacks the @hookimpl mark" for name in sorted(_unmarked(module) & HOOKS.keys())]
    if not implemented and not faults:
        faults.append("implements no hook")
    found: list[Registered] = []
    distribution, version = _origin(entry)
    for hook in sorted(implemented & HOOKS.keys()):
        started = time.perf_counter()
        try:
            specs = [spec for result in getattr(manager.hook, hook)() for spec in _iterated(result)]
        except (Exception, SystemExit) as error:
            faults.append(f"{hook}: {_one_line(error)}")
            continue
        finally:
            if trace:
                taken = (time.perf_counter() - started) * 1000
                print(f"dckt: trace: {hook} of {distribution} ({entry.name}): {taken:.2f} ms", file=sys.stderr)
        for spec in specs:
            fault = _fault(spec, HOOKS[hook])
            if fault:
                faults.append(f"{hook}: {fault}")
            else:
                found.append(Registered(spec, distribution, version, entry.name))
    return found, faults


def _iterated(result: object) -> list[object]:
    if isinstance(result, str) or not isinstance(result, Iterable):
        raise TypeError(f"must return specs, not {type(result).__name__}")
    return list(result)


def _unmarked(module: object) -> set[str]:
    """Functions that look like hooks by their name but are not marked as implementations."""
    marker = f"{hookspecs.PROJECT}_impl"
    return {
        name
        for name, value in vars(module).items()
        if name.startswith("dckt_") and inspect.isfunction(value) and not hasattr(value, marker)
    }


def _fault(spec: Any, wanted: type[Any]) -> str | None:
    """What is wrong with a spec, or None. Option values are validated when they are used, by `options`."""
    if not isinstance(spec, wanted):
        return f"must return {wanted.__name__} objects, not {type(spec).__name__}"
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        return f"name {spec.name!r} must be lower-case letters, digits, '.', '_' and '-'"
    theirs, ours = str(spec.api).split(".")[0], API_VERSION.split(".")[0]
    if theirs != ours:
        return f"'{spec.name}' was written for version {spec.api} of the contract, and this dckt has {API_VERSION}"
    if not (isinstance(spec.options, type) and is_dataclass(spec.options)):
        return f"options of '{spec.name}' must be a dataclass"
    try:
        spec.options()
    except Exception:
        without = [field.name for field in fields(spec.options)]
        return f"options of '{spec.name}' must all have defaults that fit ({', '.join(without)})"
    return None


def _clashes(registered: list[Registered]) -> list[Failure]:
    """Strangers that offer a name which the box has: theirs is reached by its qualified name only."""
    own = {(entry.kind, entry.name) for entry in registered if entry.builtin}
    return [
        Failure(
            entry.distribution,
            entry.entry_point,
            f"{entry.kind} '{entry.name}' is the name of a built-in one; say {entry.qualified_name} for this one",
        )
        for entry in registered
        if not entry.builtin and (entry.kind, entry.name) in own
    ]


def _origin(entry: EntryPoint) -> tuple[str, str]:
    """Canonical name and version of an entry point's distribution."""
    return (_canonical(entry.dist.name), entry.dist.version) if entry.dist else ("unknown", "unknown")


def _canonical(name: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "") not in ("", "0")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
