"""Plugin discovery: entry points of the group `dckt`, each loaded alone, so that a broken one breaks nothing else.

An entry point names a module with functions marked `@hookimpl`. Whatever goes wrong with it is put down to its
distribution in one line, it is left out, and the rest goes on. The environment has a say:

    DCKT_LOAD_PLUGINS=a,b    of the installed distributions only these, besides the built-ins
    DCKT_STRICT_PLUGINS=1    a plugin that has to be left out is an error
    DCKT_TRACE_PLUGINS=1     every import and hook call with its plugin and time, on stderr
    DCKT_PLUGIN_TIMEOUT=60   seconds that each may take for its import, and for each hook; 0 for no limit
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any, get_args

import pluggy

from dckt_core.base.errors import PluginError, describe, did_you_mean, one_line, place_of
from dckt_core.base.progress import logger
from dckt_core.contract import hookspecs
from dckt_core.contract.patience import LateError, limit_of, patience
from dckt_core.contract.registry import BUILTIN_DISTRIBUTION, Failure, Registered, Registry, blame, canonical
from dckt_core.contract.specs import (
    API_VERSION,
    DatasetSpec,
    DiscrepancySpec,
    EncoderSpec,
    IndexSpec,
    Modality,
    NamedFunction,
    ObserverSpec,
    PartSpec,
    SamplerSpec,
    Spec,
)

__all__ = ["HOOKS", "Failure", "Registered", "Registry", "blame", "discover", "load_registry", "spec_fault"]

GROUP = "dckt"
"""The entry-point group."""

HOOKS: dict[str, type[Spec[Any]]] = {
    "dckt_encoders": EncoderSpec,
    "dckt_discrepancies": DiscrepancySpec,
    "dckt_samplers": SamplerSpec,
    "dckt_datasets": DatasetSpec,
    "dckt_indexes": IndexSpec,
    "dckt_observers": ObserverSpec,
    "dckt_parts": PartSpec,
}
"""What each hook returns an iterable of."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""What a plugin may be called: what is easy to type, and needs no quotes in a shell or in TOML."""


def load_registry(*, plugins: bool = True, environ: Mapping[str, str] = os.environ) -> Registry:
    """All that is installed; a warning line on the `dckt` logger for whatever had to be left out.

    Args:
        plugins: False for what ships in the box alone.
        environ: where the `DCKT_*_PLUGINS` variables are read from.

    Raises:
        PluginError: something had to be left out, and DCKT_STRICT_PLUGINS is set.
    """
    registry = discover(plugins=plugins, environ=environ)
    if registry.failures and _is_set(environ, "DCKT_STRICT_PLUGINS"):
        others = len(registry.failures) - 1
        raise PluginError(f"{registry.failures[0]}{f' ({others} more: dckt plugins check)' if others else ''}")
    for failure in registry.failures:
        logger.warning("dckt: warning: %s", failure)
    return registry


def discover(*, plugins: bool = True, environ: Mapping[str, str] = os.environ) -> Registry:
    """`load_registry` that neither warns nor raises: what fails is in `Registry.failures` only."""
    trace, seconds = _is_set(environ, "DCKT_TRACE_PLUGINS"), limit_of(environ)
    registered: dict[tuple[str, str, str], Registered] = {}
    failures: list[Failure] = []
    for found in _chosen(plugins, environ, failures):
        try:
            # Standard output belongs to the command: with --json it must hold JSON alone.
            with contextlib.redirect_stdout(sys.stderr):
                specs = _load(found, trace=trace, seconds=seconds)
        except _UnfitError as error:
            failures.append(found.failure(str(error), cause=error.__cause__))
            continue
        for spec in specs:
            key = (spec.kind, str(spec.name), canonical(found.distribution))
            fault = spec_fault(spec)
            if fault is None and key in registered:
                fault = f"entry point '{registered[key].entry_point}' of the same distribution offers it already"
            if fault is not None:
                failures.append(found.failure(fault, spec))
                continue
            registered[key] = Registered(spec, found.distribution, found.version, found.name)
            if not found.builtin and (*key[:2], BUILTIN_DISTRIBUTION) in registered:
                reason = f"a built-in has its name; '{registered[key].qualified_name}' finds this one"
                failures.append(found.failure(reason, spec))
    return Registry(registered.values(), failures)


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() not in ("", "0", "false", "no")


# --- entry points ---------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Found:
    """An entry point and its distribution, whose metadata is read once."""

    name: str
    distribution: str
    version: str
    entry_point: metadata.EntryPoint

    @property
    def builtin(self) -> bool:
        return canonical(self.distribution) == BUILTIN_DISTRIBUTION

    def failure(self, reason: str, spec: Spec[Any] | None = None, cause: BaseException | None = None) -> Failure:
        return Failure(
            distribution=self.distribution,
            version=self.version,
            entry_point=self.name,
            reason=reason,
            name=str(spec.name) if spec else self.name,
            kind=spec.kind if spec else None,
            cause=cause,
        )


def _chosen(plugins: bool, environ: Mapping[str, str], failures: list[Failure]) -> list[_Found]:
    """The entry points to load."""
    found = [one for one in _entry_points() if plugins or one.builtin]
    if not plugins or "DCKT_LOAD_PLUGINS" not in environ:
        return found
    wanted = {canonical(name.strip()) for name in environ["DCKT_LOAD_PLUGINS"].split(",") if name.strip()}
    strangers = {canonical(one.distribution) for one in found if not one.builtin}
    for name in sorted(wanted - strangers - {BUILTIN_DISTRIBUTION}):
        reason = f"DCKT_LOAD_PLUGINS names it, and it has no plugins here{did_you_mean(name, strangers)}"
        failures.append(Failure(distribution=name, version="(any version)", entry_point="*", reason=reason, name="*"))
    return [one for one in found if one.builtin or canonical(one.distribution) in wanted]


def _entry_points() -> list[_Found]:
    """Built-ins first, then by distribution and name: the order never depends on the file system."""
    labels: dict[int, tuple[str, str]] = {}
    found = []
    for entry_point in metadata.entry_points(group=GROUP):
        dist = entry_point.dist
        if id(dist) not in labels:
            labels[id(dist)] = _label(dist)
        found.append(_Found(entry_point.name, *labels[id(dist)], entry_point))
    return sorted(found, key=lambda one: (not one.builtin, canonical(one.distribution), one.name))


def _label(dist: metadata.Distribution | None) -> tuple[str, str]:
    """Name and version, as far as the distribution's metadata can be read."""
    try:
        return (str(dist.name), str(dist.version)) if dist else ("unknown distribution", "")
    except Exception:
        return str(getattr(dist, "_path", "unknown distribution")), ""


# --- hooks ----------------------------------------------------------------------------------------------------


class _UnfitError(Exception):
    """Why an entry point is left out."""


def _load(found: _Found, *, trace: bool, seconds: float) -> list[Spec[Any]]:
    """All specs of an entry point. It gets a plugin manager of its own, so nothing of it is left if it fails."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        with _timed(found, "import", trace), _at_work(found, "its import", seconds):
            plugin = found.entry_point.load()
    except _UnfitError:
        raise
    except (Exception, SystemExit) as error:
        raise _UnfitError(f"its import raised {describe(error)}{place_of(error)}") from error
    try:
        manager.register(plugin, found.name)
    except pluggy.PluginValidationError as error:
        raise _UnfitError(_signature_fault(str(error))) from error
    except Exception as error:
        raise _UnfitError(f"it cannot be registered: {describe(error)}") from error

    hooks = manager.get_hookcallers(plugin) or []
    implemented = {hook.name for hook in hooks}
    for hook in hooks:
        if not hook.has_spec():
            raise _UnfitError(f"there is no hook '{hook.name}'{did_you_mean(hook.name, HOOKS)}")
    for name in HOOKS:
        if name not in implemented and inspect.isroutine(getattr(plugin, name, None)):
            raise _UnfitError(f"{name} is not marked @hookimpl")
    if not hooks:
        raise _UnfitError(f"it implements no hook (known: {', '.join(HOOKS)})")
    return [spec for hook in hooks for spec in _call(hook, found, trace=trace, seconds=seconds)]


def _call(hook: pluggy.HookCaller, found: _Found, *, trace: bool, seconds: float) -> list[Spec[Any]]:
    """What the only implementation of a hook returns."""
    wanted = HOOKS[hook.name]
    try:
        with _timed(found, hook.name, trace), _at_work(found, hook.name, seconds):
            answers = hook()  # pluggy drops None, and a wrapper answers nothing
            specs = list(answers[0]) if len(answers) == 1 else None
    except _UnfitError:
        raise
    except (Exception, SystemExit) as error:
        raise _UnfitError(f"{hook.name} raised {describe(error)}{place_of(error)}") from error
    if specs is None:
        raise _UnfitError(f"{hook.name} must return a list of {wanted.__name__}, and returned nothing")
    for spec in specs:
        if not isinstance(spec, wanted):
            raise _UnfitError(f"{hook.name} must return a list of {wanted.__name__}, and it holds {_short(spec)}")
    return specs


def _signature_fault(message: str) -> str:
    """Pluggy's three lines (plugin, definition, reason) as one."""
    lines = message.splitlines()
    definition, reason = (lines[1], lines[-1]) if len(lines) >= 3 else ("a hook", message)
    return one_line(f"{definition.removeprefix('hookimpl definition: ')} does not fit the hook: {reason}")


@contextlib.contextmanager
def _at_work(found: _Found, what: str, seconds: float) -> Iterator[None]:
    """A block in which a plugin has the word: for no longer than it may, and who interrupts it is told what it was.

    Raises:
        _UnfitError: it took longer.
    """
    who = f"{found.distribution} {found.version}: {what}"
    try:
        with patience(who, seconds):
            yield
    except LateError:
        raise _UnfitError(f"{what} takes more than {seconds:g} s (DCKT_PLUGIN_TIMEOUT)") from None
    except (Exception, SystemExit):
        raise
    except BaseException:  # Ctrl-C, or a signal that asks to stop
        logger.warning("dckt: warning: interrupted in the plugin %s", who)
        raise


@contextlib.contextmanager
def _timed(found: _Found, what: str, trace: bool) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:  # what raises has taken its time too
        if trace:
            took = (time.perf_counter() - began) * 1000
            logger.warning("dckt: trace: %s:%s %s %.2f ms", found.distribution, found.name, what, took)


# --- specs ----------------------------------------------------------------------------------------------------


def spec_fault(spec: Spec[Any]) -> str | None:
    """Why a spec is left out, or None. Cheap: what needs pydantic waits for `Registry.find`."""
    if not isinstance(spec.name, str) or not NAME.fullmatch(spec.name):
        return f"the name {_short(spec.name)} is not of lower-case letters, digits, '-', '_' and '.'"
    if str(spec.api).partition(".")[0] != API_VERSION.partition(".")[0]:
        return f"it is written for version {one_line(str(spec.api))} of the contract, and this is {API_VERSION}"
    if not isinstance(spec.summary, str) or not spec.summary.isprintable():
        return "its summary is not one line of text"
    if isinstance(spec, EncoderSpec) and spec.modality not in get_args(Modality):
        return f"its modality is {_short(spec.modality)}, not 'image', 'text' or 'both'"
    if isinstance(spec, DatasetSpec) and not isinstance(spec.settings, Mapping):
        return "its settings are no mapping"
    for role in spec.functions:
        function = getattr(spec, role)
        if function is None and role in spec.may_lack:
            continue
        if not callable(function):
            return f"its {role} cannot be called"
        if isinstance(function, NamedFunction) and not function.well_formed:
            return f"its {role} is {_short(function.name)}, which is not of the form 'module:function'"
    if not (isinstance(spec.options, type) and dataclasses.is_dataclass(spec.options)):
        return f"its options are {_short(spec.options)}, not a dataclass"
    for field in dataclasses.fields(spec.options):
        if field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            return f"its option '{field.name}' has no default"
    return None


def _short(value: object) -> str:
    try:
        text = one_line(repr(value))
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."
