"""What the checks of every kind share: a plugin under test, and one sentence for each rule that it breaks."""

from __future__ import annotations

import json
import os
import random
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
import torch
from torch import Tensor

from dckt_core.base.errors import DcktError, PluginError, describe
from dckt_core.config import PluginChoice
from dckt_core.contract.discovery import HOOKS, spec_fault
from dckt_core.contract.options import check_options, parse_options
from dckt_core.contract.registry import Registered
from dckt_core.testing.rounding import rounding

SET_BY_LIBRARIES = frozenset(
    {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR"}
)
"""Environment variables that pytest, torch and scikit-learn set by themselves."""

TERMS = 1_000_000
"""What an encoder adds up on the way to one value, at most; VGG19 a hundred thousand numbers."""


class _BrokenError(AssertionError):
    """An AssertionError whose text names the spec and the rule already."""


class Subject:
    """A spec with its options while it is checked.

    Raises:
        AssertionError: the spec is of another kind, malformed, or its options are unsound.
    """

    def __init__(self, spec: Any, kind: str, options: Any = None) -> None:
        self.spec = spec
        self.name = f"{kind} '{getattr(spec, 'name', spec)}'"
        wanted = next(cls for cls in HOOKS.values() if cls.kind == kind)
        self.require(isinstance(spec, wanted), f"it must be of type {wanted.__name__}, not {type(spec).__name__}")
        fault = spec_fault(spec)
        self.require(fault is None, f"dckt leaves it out: {fault}")
        with self.blamed("its options"):
            check_options(spec)
            self.options = spec.options() if options is None else options
        self.require(
            isinstance(self.options, spec.options),
            f"options must be of type {spec.options.__name__}, not {type(self.options).__name__}",
        )
        self._check_options_come_back()

    @property
    def registered(self) -> Registered:
        """The spec as guards want it."""
        return Registered(self.spec, distribution="the test", version="", entry_point="")

    def require(self, condition: object, rule: str) -> None:
        """Raises AssertionError with the spec's name and the rule unless the condition holds."""
        if not condition:
            raise _BrokenError(f"{self.name}: {rule}")

    @contextmanager
    def blamed(self, what: str) -> Iterator[None]:
        """Turns what the plugin raises in the block into an AssertionError: `what` raised it.

        A UsageError or DataError passes unchanged, as in training: it says that the user can help.
        """
        try:
            yield
        except (_BrokenError, KeyboardInterrupt):
            raise
        except PluginError as error:
            cause = error.__cause__
            if cause is None or isinstance(cause, PluginError):
                raise _BrokenError(f"{self.name}: {cause or error}") from error
            raise _BrokenError(f"{self.name}: {what} raised {describe(cause)}") from error
        except DcktError:
            raise
        except (Exception, SystemExit) as error:
            raise _BrokenError(f"{self.name}: {what} raised {describe(error)}") from error

    @contextmanager
    def leaves_alone(self, *, first_build: bool = False) -> Iterator[None]:
        """Requires that the block changes nothing that belongs to the whole process; puts it back in any case.

        first_build: it may import libraries that draw a random number or set a variable when they are imported, once
            and for all. So neither is asked about, and what a plugin does by itself shows at the next build.
        """
        settings = _settings()
        with _same_environment() as set_variables, _same_generators() as touched_generators:
            yield
            variables, generators = set_variables(), touched_generators()
        for name, value in _settings().items():
            self.require(settings[name] == value, f"it changes {name} for the whole process")
        if not first_build:
            self.require(not variables, f"it changes os.environ: {', '.join(variables)}")
            drawn = ", ".join(generators)
            self.require(not drawn, f"it draws from, or seeds, the global random generator of {drawn}")

    def json_round_trip(self, value: Any, what: str) -> Any:
        """The value as it comes back from JSON, which a run folder keeps it in."""
        try:
            back = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise _BrokenError(f"{self.name}: {what} is not JSON-able: {error}") from None
        return back

    def _check_options_come_back(self) -> None:
        """Runs keep options in `config.toml`; a run that is loaded or goes on reads them from there."""
        said = asdict(self.options)
        table = PluginChoice(name="x", **said).model_dump(mode="json", exclude_none=True)
        read = PluginChoice(**tomllib.loads(tomli_w.dumps(table))).options
        with self.blamed("reading back its options"):
            again = parse_options(self.spec, read, where=self.name)
        lost = sorted(name for name, value in asdict(again).items() if value != said[name])
        self.require(not lost, f"options do not come back from config.toml as they were: {', '.join(lost)}")


def close(one: Tensor, other: Tensor, *, terms: int = TERMS) -> bool:
    """Whether two tensors of one shape agree up to what float32 rounds in sums of so many terms."""
    if one.shape != other.shape:
        return False
    scale = float(other.detach().abs().max()) if other.numel() else 0.0
    return torch.allclose(one.double(), other.double(), rtol=0, atol=rounding(torch.float32, terms) * scale)


@contextmanager
def _same_environment() -> Iterator[Callable[[], list[str]]]:
    """Puts os.environ back afterwards. Yields a function that names the variables that are no longer as they were."""
    before = dict(os.environ)

    def changed() -> list[str]:
        names = (os.environ.keys() | before.keys()) - SET_BY_LIBRARIES
        return sorted(name for name in names if os.environ.get(name) != before.get(name))

    try:
        yield changed
    finally:
        for name in changed():
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


def _settings() -> dict[str, object]:
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's grad mode": torch.is_grad_enabled(),
        "torch's number of threads": torch.get_num_threads(),
        "the working folder": _working_folder(),
    }


def _working_folder() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # it was removed
        return None


@contextmanager
def _same_generators() -> Iterator[Callable[[], list[str]]]:
    """Sets the global generators to a state that no seed gives, and puts their own back afterwards.

    Yields a function that names those that are no longer in it. So seeding one shows as well as drawing from it.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    for _ in range(3):
        random.random(), np.random.random(), torch.rand(())
    marked = _states()
    try:
        yield lambda: [name for name, state in _states().items() if state != marked[name]]
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _states() -> dict[str, object]:
    _, keys, *rest = np.random.get_state()
    return {
        "random": random.getstate(),
        "numpy": (np.asarray(keys).tobytes(), *rest),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
