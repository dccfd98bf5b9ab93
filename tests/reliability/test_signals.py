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

from dckt_core.base.stopping import SIGNALS, Stop, deferred, stopping
from dckt_core.engine.snapshot import SnapshotFolder
from tests.support import processes
from tests.support.processes import in_child, preload, resume, same_end
from tests.support.squares import ENCODER, SIZES, SOURCE, TARGET, flags, write_squares
from tests.support.trainings import at_update

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
