from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dckt_apps.experiment.workers import _leave_terminal, work
from tests.support.processes import ended, forked
from tests.support.tasks import perform


def refuse() -> Callable[[str], None]:
    raise RuntimeError("no plugins here")


class Refusing:
    """What no process can unpickle."""

    def __call__(self, word: str) -> None: ...

    def __reduce__(self) -> Any:
        return refuse, ()


def test_each_task_costs_itself_alone_whatever_it_does(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in "abcd"]
    faults = {
        "killed": "its process ended: SIGKILL, perhaps for want of memory",
        "gone": "its process ended: exit code 7",
        "bad data": "row 3: no label",
        "a mistake": "ValueError: of two lines",
    }
    tasks = [word for pair in zip(files, faults, strict=True) for word in pair]
    asked: list[str] = []
    found = dict(work(tasks, perform, processes=2, threads=3, ready=asked.append))
    assert found == faults | dict.fromkeys(files)
    assert asked == tasks
    said = [Path(file).read_text().split() for file in files]
    assert all(pid != str(os.getpid()) and threads == "3" for pid, threads in said)


@pytest.mark.filterwarnings("ignore")
def test_processes_that_cannot_begin_do_not_hang() -> None:
    found = list(work(["a", "b"], Refusing(), processes=1))
    assert found == [("a", "its process ended: exit code 1"), ("b", "its process ended: exit code 1")]


def test_no_tasks_need_no_processes() -> None:
    assert list(work([], Refusing(), processes=2)) == []


def test_a_request_to_stop_ends_what_is_at_work(tmp_path: Path) -> None:
    file = str(tmp_path / "a")
    done: list[str] = []
    started = time.monotonic()
    for task, fault in work([file, "long", "b"], perform, processes=1, stop=lambda: bool(done)):
        assert fault is None
        done.append(task)
    assert done == [file]
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("system", ["with groups of processes", "without"])
def test_an_interrupt_from_the_terminal_reaches_the_parent_alone(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if system == "without":  # as on Windows
        monkeypatch.delattr(os, "setpgrp")

    def worker() -> int:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _leave_terminal()
        if system == "without":
            os.kill(os.getpid(), signal.SIGINT)
            return 0
        return int(os.getpgrp() != os.getpid())

    assert ended(forked(worker)) == 0


PARENT = """
import sys
from tests.support.tasks import perform
from dckt_apps.experiment.workers import work

if __name__ == "__main__":
    list(work([sys.argv[1]], perform, processes=1))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script, told = tmp_path / "parent.py", tmp_path / "long"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, script, told], env=environment) as parent:
        while not (told.exists() and told.read_text()):
            assert parent.poll() is None
            time.sleep(0.1)
        worker = int(told.read_text().split()[0])
        parent.kill()
    for _ in range(100):
        if _ended(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent by ten seconds")


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
