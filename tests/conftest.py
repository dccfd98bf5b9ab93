"""What all tests share: no test leaves traces, and none is left out in silence."""

import gc
import os
import random
import sys
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: tiny networks only lose to more threads

import hypothesis
import pytest
import rich.style  # noqa: F401  # draws from Python's global generator when it is imported, once

from tests.support.needs import ABSENT

hypothesis.settings.register_profile(
    "dckt",
    deadline=None,  # no test is timed: another machine is busier
    max_examples=50,  # each run draws others
)
hypothesis.settings.load_profile("dckt")

pytest_plugins = ["tests.support.commands", "tests.support.sample", "tests.support.squares"]

SET_BY_LIBRARIES = {
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
    "PYTEST_CURRENT_TEST",
    "TORCHINDUCTOR_CACHE_DIR",
    "TOKENIZERS_PARALLELISM",
}
"""Variables that pytest, torch, scikit-learn and open_clip set by themselves."""


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SET_BY_LIBRARIES}


def _random_states() -> dict[str, object]:
    """The global generators of Python, numpy and torch, as far as they are loaded."""
    states: dict[str, object] = {"random": random.getstate()}
    if numpy := sys.modules.get("numpy"):
        _, keys, *rest = numpy.random.get_state()
        states["numpy.random"] = (keys.tobytes(), *rest)
    if torch := sys.modules.get("torch"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
    return states


@pytest.fixture(autouse=True)
def leaves_no_traces() -> Iterator[None]:
    """Fails a test that leaves os.environ changed, or that draws from a global random generator."""
    environment, states = _environment(), _random_states()
    yield
    now = _environment()
    changed = sorted(name for name in environment | now if environment.get(name) != now.get(name))
    assert not changed, f"the test leaves os.environ changed: {changed}"
    drawn = [name for name, state in _random_states().items() if states.get(name, state) != state]
    assert not drawn, f"the test draws from the global generator of {drawn}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a core for long begins first."""
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


def pytest_collection() -> None:
    """Imports leave hardly any garbage, and the search for it takes a second of them."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What is imported by now stays: no search goes over it again, nor has a forked process to copy it."""
    gc.collect()
    gc.freeze()
    gc.enable()


LEFT_OUT: dict[str, int] = {}
"""Parts that this machine lacks, and how many tests (or whole files) each left out."""


def _count_left_out(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(ABSENT):
            part = reason.removeprefix(ABSENT)
            LEFT_OUT[part] = LEFT_OUT.get(part, 0) + 1


pytest_runtest_logreport = pytest_collectreport = _count_left_out


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where CI is set, nothing may be left out."""
    if LEFT_OUT and os.environ.get("CI") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if LEFT_OUT:
        parts = ", ".join(f"{part} ({count})" for part, count in sorted(LEFT_OUT.items()))
        how = "`make test EXTRAS=test` and, before it, `make browser` bring all parts"
        terminalreporter.write_line(f"Left out for want of {parts}. {how}.", red=bool(os.environ.get("CI")), bold=True)
