"""Ctrl-C and SIGTERM: the first keeps a checkpoint between two updates and leaves with the signal's code, the second
leaves at once. Nothing is lost either way."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dckt_core.base.errors import StoppedError
from dckt_core.base.stopping import SIGNALS, Stop, at_once, deferred, stopping
from dckt_core.engine.snapshot import SnapshotFolder
from tests.support import processes
from tests.support.processes import in_child, preload, resume, same_end
from tests.support.squares import ENCODER, SIZES, SOURCE, TARGET, flags, write_squares
from tests.support.trainings import at_update

pytestmark = pytest.mark.faults

train = partial(processes.train, flags=["--device", "cpu", *ENCODER, *flags(checkpoint_minutes=1e9)])
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    preload()
    home = tmp_path_factory.mktemp("signals")
    write_squares(home / "source", SOURCE, SIZES)
    write_squares(home / "target", TARGET, SIZES)
    assert in_child(home, lambda: train("whole")) == 0
    return home


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def doing(number: int, do: Callable[[], object], work: Callable[[], int]) -> int:
    """The work, with something done before its so-manieth update. For forked processes, which it changes for good."""
    at_update(pytest.MonkeyPatch(), number, do)
    return work()


@pytest.mark.parametrize("number", SIGNALS)
def test_stopped_by_signals_a_run_ends_as_if_never_stopped(
    home: Path,
    number: signal.Signals,
    record_property: Callable[[str, object], None],
) -> None:
    name = f"stopped-{number.name}"
    run = home / "runs" / name
    updates = [2, 7, 11]  # in pre-training of the source, of the target, and in transfer, counted from each start
    for start, update in enumerate(updates):
        work = partial(resume, name) if start else partial(train, name)
        code = in_child(home, lambda: doing(update, lambda: os.kill(os.getpid(), number), work))  # noqa: B023
        assert code == CODES[number]
        snapshot = SnapshotFolder(run / "checkpoints").latest()
        assert snapshot is not None
        done = snapshot.facts["at"]
        assert done["update"] == [2, 4, 15][start], "after the very update in which the signal came"
    assert in_child(home, partial(resume, name)) == 0
    record_property("faults", len(updates))
    seconds = json.loads((run / "summary.json").read_text())["seconds"]
    assert seconds > snapshot.facts["seconds"] > 0, "the time before a stop counts"
    same_end(home / "runs/whole", run)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_leaves_at_once(home: Path, tmp_path: Path, number: signal.Signals) -> None:
    name = f"twice-{number.name}"

    def endless() -> None:
        (tmp_path / "inside").touch()
        time.sleep(600)

    def twice() -> None:
        wait_for((tmp_path / "inside").exists)
        child = int((tmp_path / "child").read_text())
        os.kill(child, number)
        time.sleep(0.3)
        (tmp_path / "alive").write_text(str(Path(f"/proc/{child}").exists()))
        os.kill(child, number)

    def work() -> int:
        (tmp_path / "child").write_text(str(os.getpid()))
        return doing(4, endless, partial(train, name))

    sender = threading.Thread(target=twice)
    sender.start()
    assert in_child(home, work) == CODES[number], "it would have slept for minutes"
    sender.join()
    assert (tmp_path / "alive").read_text() == "True", "the first waits for the update to end"
    assert in_child(home, partial(resume, name)) == 0
    same_end(home / "runs/whole", home / "runs" / name)


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with stopping() as stop, deferred():
        assert not stop()
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(stop)
        assert stop.exit_code == 143
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_off_the_main_thread_no_signal_is_caught() -> None:
    found: list[Stop] = []

    def work() -> None:
        with stopping() as stop:
            found.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not found[0]()


# --- where no update is at work a signal is heard at once -----------------------------------------------------------


def sleeping(owner: object, name: str, marker: Path) -> None:
    """Has a function sleep for minutes in small steps, as a long loop does; for forked processes."""

    def slow(*arguments: object, **named: object) -> None:
        marker.touch()
        for _ in range(60_000):
            time.sleep(0.01)

    pytest.MonkeyPatch().setattr(owner, name, slow)


def stopped_within(home: Path, work: Callable[[], int], marker: Path, number: signal.Signals) -> tuple[int, float]:
    """Sends a signal once a long loop has begun; the exit code, and how many seconds it took."""
    child = processes.forked(lambda: in_home(home, work))
    wait_for(marker.exists)
    began = time.monotonic()
    os.kill(child, number)
    code = processes.ended(child)
    return code, time.monotonic() - began


def in_home(home: Path, work: Callable[[], int]) -> int:
    os.environ["DCKT_CACHE_DIR"] = str(home / "cache")
    os.chdir(home)
    return work()


SECONDS = 5.0
"""In which whoever is asked to stop has left, on a machine that is not much busier than it has cores."""


@pytest.mark.parametrize(
    ("where", "what"),
    [("dckt_core.contract.guards:GuardedSampler", "select"), ("dckt_core.method.loop", "score"),
     ("dckt_core.runs.setup", "fit_space"), ("dckt_core.runs.train", "score_test")],
)  # fmt: skip
def test_long_work_between_updates_is_left_at_once_and_done_again(
    home: Path, tmp_path: Path, where: str, what: str
) -> None:
    from importlib import import_module

    module, _, member = where.partition(":")
    owner = getattr(import_module(module), member) if member else import_module(module)
    name, marker = f"long-{what}", tmp_path / "inside"

    def work() -> int:
        sleeping(owner, what, marker)
        return train(name)

    code, seconds = stopped_within(home, work, marker, signal.SIGTERM)
    assert code == 143
    assert seconds < SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert in_child(home, partial(resume, name)) == 0
    same_end(home / "runs/whole", home / "runs" / name)


def test_a_second_signal_in_long_work_loses_nothing_that_was_kept(home: Path, tmp_path: Path) -> None:
    """The first one keeps a checkpoint and hangs while it does, as on a slow disk; the second leaves at once."""
    from dckt_core.contract.guards import GuardedSampler
    from dckt_core.engine import snapshot as module

    marker, saving = tmp_path / "inside", tmp_path / "saving"
    flagged = partial(processes.train, flags=["--device", "cpu", *ENCODER, *flags(checkpoint_minutes=0)])

    def work() -> int:
        whole = module.Snapshot.save

        def slow(self: module.Snapshot, path: Path) -> None:
            whole(self, path)
            if marker.exists():
                saving.touch()
                time.sleep(600)

        pytest.MonkeyPatch().setattr(module.Snapshot, "save", slow)
        sleeping(GuardedSampler, "select", marker)
        return flagged("twice-in-selection")

    child = processes.forked(lambda: in_home(home, work))
    wait_for(marker.exists)
    os.kill(child, signal.SIGTERM)
    wait_for(saving.exists)
    os.kill(child, signal.SIGTERM)
    assert processes.ended(child) == 143
    assert in_child(home, partial(resume, "twice-in-selection")) == 0
    same_end(home / "runs/whole", home / "runs/twice-in-selection")


@pytest.mark.parametrize("command", ["extract", "index", "evaluate", "report"])
def test_other_commands_leave_at_once_with_their_code(home: Path, tmp_path: Path, command: str) -> None:
    from dckt_cli.main import main
    from dckt_core.data import features
    from dckt_core.retrieval import extract

    marker = tmp_path / "inside"
    run = str(home / "runs/whole")
    words = {
        "extract": ["extract", "--run", run, "--input", "target", "--medium", "text", "-o", str(tmp_path / "out")],
        "index": ["index", run, "--gallery", "target", "-o", str(tmp_path / "out")],
        "evaluate": ["evaluate", run],
        "report": ["report", run, "-o", str(tmp_path / "r.html")],
    }[command]

    def work() -> int:
        if command in ("extract", "index"):
            sleeping(extract, "prepare", marker)
            sleeping(extract._Task, "_rows", marker)
        else:
            sleeping(features, "item_digests", marker)
        return main([*words, "--quiet"])

    code, seconds = stopped_within(home, work, marker, signal.SIGINT)
    assert code == 130
    assert seconds < SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_expects_any_error_does_not_take_a_signal_for_one() -> None:
    """A picture that is being decoded, say, is no bad picture because somebody asks to stop."""
    with pytest.raises(StoppedError), stopping():  # noqa: PT012 - the block is what is tried
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(100):
                time.sleep(0.01)
        except Exception:  # as decoders' errors are caught
            pytest.fail("it was taken for an error")


def test_blocks_within_one_another() -> None:
    with pytest.raises(StoppedError, match="stopped by SIGTERM"), stopping() as outer:  # noqa: PT012 - likewise
        with stopping() as inner, deferred():
            assert inner is outer
            os.kill(os.getpid(), signal.SIGTERM)
            wait_for(inner)
            with pytest.raises(StoppedError), at_once():
                pytest.fail("it had been asked before")
            assert outer() and outer.exit_code == 143
        outer.break_off()
