"""What all tests share: no test leaves traces, and small distributions that are really installed."""

import os
import random
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported: tiny networks only lose to more threads

import hypothesis
import pytest
import rich.style  # noqa: F401  # draws from Python's global generator when it is imported, once

from tests.support.needs import ABSENT

hypothesis.settings.register_profile("dckt", deadline=None)  # no test is timed: another machine is busier
hypothesis.settings.load_profile("dckt")

DISTRIBUTIONS = Path(__file__).parent / "distributions"
DCKT = Path(sysconfig.get_path("scripts"), "dckt")

Dckt = Callable[..., subprocess.CompletedProcess[str]]


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
        how = "`make test EXTRAS=test` and `apt install chromium` bring all parts"
        terminalreporter.write_line(f"Left out for want of {parts}. {how}.", red=bool(os.environ.get("CI")), bold=True)


def install(target: Path, folders: Iterable[Path]) -> None:
    """Has pip build the distributions in some folders and install them into another, without a network."""
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *flags, "--target", str(target), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed every distribution of tests/distributions."""
    target = tmp_path_factory.mktemp("site")
    install(target, sorted(folder for folder in DISTRIBUTIONS.iterdir() if (folder / "pyproject.toml").is_file()))
    return target


@pytest.fixture(scope="session")
def dckt(distributions: Path) -> Dckt:
    """Runs the `dckt` command in a process of its own: `dckt("plugins", load=["dckt-stranger"], DCKT_X="1")`.

    load: which of the test distributions it may see; None for all of them.
    """

    def run(
        *args: str | Path, load: list[str] | None, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DCKT_")}
        environment = inherited | {"PYTHONPATH": str(distributions), "OMP_NUM_THREADS": "1"} | variables
        if load is not None:
            environment["DCKT_LOAD_PLUGINS"] = ",".join(load)
        command = [str(DCKT), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=cwd)

    return run
