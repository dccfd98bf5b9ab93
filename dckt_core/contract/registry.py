"""What is registered: every plugin's specs under the names that a user types, and who is to blame for what."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from dckt_core.base.errors import DcktError, PluginError, UsageError, describe, did_you_mean, one_line, place_of
from dckt_core.contract.pairs import Medium

BUILTIN_DISTRIBUTION = "dckt"

TITLES = {"dataset": "layout"}
"""What users call the names of a kind, where they call them otherwise."""


@dataclass(frozen=True)
class Registered:
    """One spec and where it comes from.

    Attributes:
        spec: an `EncoderSpec`, `SamplerSpec`, ...; typed loosely, since its kind was named in the look-up.
        distribution: what was installed with pip; `dckt` for what ships in the box.
        version: the distribution's.
        entry_point: name of the entry point that the spec came through.
    """

    spec: Any
    distribution: str
    version: str
    entry_point: str

    @property
    def builtin(self) -> bool:
        return canonical(self.distribution) == BUILTIN_DISTRIBUTION

    @property
    def kind(self) -> str:
        return str(self.spec.kind)

    @property
    def name(self) -> str:
        """The name that finds this plugin whatever else is installed: `vgg19`, `my-plugin:vgg19`."""
        return str(self.spec.name) if self.builtin else self.qualified_name

    @property
    def qualified_name(self) -> str:
        """`distribution:name`."""
        return f"{self.distribution}:{self.spec.name}"

    def __str__(self) -> str:
        return f"{self.spec.kind} '{self.spec.name}' of {self.distribution} {self.version}"


@dataclass(frozen=True)
class Failure:
    """A plugin, or one spec of it, that was left out.

    Attributes:
        name: of the spec where it is known, else of the entry point.
        kind: of the spec, or None where all of the entry point is left out.
        cause: what it raised.
    """

    distribution: str
    version: str
    entry_point: str
    reason: str
    name: str
    kind: str | None = None
    cause: BaseException | None = field(default=None, compare=False)

    @property
    def subject(self) -> str:
        """What is left out."""
        what = f"{self.kind} '{self.name}'" if self.kind else f"plugin '{self.entry_point}'"
        return one_line(f"{what} of {self.distribution} {self.version}")

    def __str__(self) -> str:
        return f"{self.subject} is left out: {one_line(self.reason)}"


class Registry:
    """Specs by kind and name.

    A bare name finds the built-in, or else the only stranger of that name; `distribution:name` finds any.
    """

    def __init__(self, registered: Iterable[Registered] = (), failures: Iterable[Failure] = ()) -> None:
        self.failures: Sequence[Failure] = tuple(failures)
        self._by_name: dict[str, dict[str, list[Registered]]] = defaultdict(lambda: defaultdict(list))
        for entry in registered:
            self._by_name[entry.spec.kind][entry.spec.name].append(entry)

    def find(self, kind: str, name: str) -> Registered:
        """The plugin of that name, its options' defaults checked.

        Raises:
            UsageError: the name is unknown, or several distributions offer it.
            PluginError: the plugin of that name was left out, or an entry point of the distribution that is named, or
                the plugin's options are unsound.
        """
        from dckt_core.contract.options import check_options

        found = self._look_up(kind, name)
        with blame(found):
            check_options(found.spec)
        return found

    def encoder_with_model(self, name: str, medium: Medium) -> Registered | None:
        """An encoder of a medium that has a model of that name, where no encoder is called so itself: the first."""
        if name in self._by_name["encoder"]:
            return None
        for entry in (entry for group in self._by_name["encoder"].values() for entry in group):
            with suppress(Exception):  # a package that is not installed lists nothing
                if medium in entry.spec.media and name in entry.spec.models():
                    return entry
        return None

    def _look_up(self, kind: str, name: str) -> Registered:
        distribution, colon, bare = name.rpartition(":")
        entries = self._by_name[kind].get(bare, [])
        if colon:
            entries = [entry for entry in entries if canonical(entry.distribution) == canonical(distribution)]
        if len(entries) == 1:
            return entries[0]
        if not entries:
            raise self._unknown(kind, name)
        for entry in entries:
            if entry.builtin:
                return entry
        names = " or ".join(f"'{entry.name}'" for entry in entries)
        raise UsageError(f"{kind} '{name}' is offered by more than one distribution: say {names}")

    def _unknown(self, kind: str, name: str) -> DcktError:
        distribution, colon, bare = name.rpartition(":")
        theirs = [
            failure
            for failure in self.failures
            if not colon or canonical(failure.distribution) == canonical(distribution)
        ]
        for failure in theirs:
            if failure.name == bare and failure.kind in (None, kind):
                return PluginError(str(failure))
        for failure in theirs:
            if colon and failure.kind is None:  # nobody knows what else it would have offered
                return PluginError(f"unknown {TITLES.get(kind, kind)} '{name}': {failure}")
        known = [entry.spec.name for entry in self.all(kind)] + [entry.name for entry in self.clashing(kind)]
        return UsageError(f"unknown {TITLES.get(kind, kind)} '{name}'{did_you_mean(name, known)}")

    def all(self, kind: str) -> list[Registered]:
        """The plugins of a kind that their bare name finds, built-ins first."""
        groups = self._by_name[kind].values()
        reached = [next((e for e in group if e.builtin), group[0]) for group in groups if not _ambiguous(group)]
        return sorted(reached, key=_order)

    def clashing(self, kind: str) -> list[Registered]:
        """The plugins of a kind that only `distribution:name` finds."""
        reached = self.all(kind)
        hidden = [entry for group in self._by_name[kind].values() for entry in group if entry not in reached]
        return sorted(hidden, key=_order)


def _ambiguous(group: Sequence[Registered]) -> bool:
    return len(group) > 1 and not any(entry.builtin for entry in group)


def _order(entry: Registered) -> tuple[bool, str, str]:
    return not entry.builtin, entry.spec.name, entry.distribution


class _BlamedError(PluginError):
    """A PluginError whose text names the plugin already."""


@contextmanager
def blame(plugin: Registered) -> Iterator[None]:
    """Puts what is raised in the block down to a plugin: a PluginError of one line that names it.

    dckt's own errors (a missing file, a wrong option) pass unchanged. The original is the `__cause__`.
    """
    try:
        yield
    except _BlamedError:
        raise
    except PluginError as error:
        raise _BlamedError(f"{plugin}: {error}") from error
    except DcktError:
        raise
    except (Exception, SystemExit) as error:
        raise _BlamedError(f"{plugin} raised {describe(error)}{place_of(error)}") from error


def canonical(distribution: str) -> str:
    """A distribution's name as package indexes compare it: `My_Plugin` is `my-plugin`."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
