"""Tasks in processes, each in one of its own: one that dies costs its task alone, and what it held goes with it.

The pools of concurrent.futures and loky give up all their tasks as soon as one process dies, an experiment of days
for one cell that ran out of memory, and they keep processes for further tasks, with what these have left behind.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from dckt_core.base.errors import DcktError, StoppedError, describe
from dckt_core.base.progress import logger

T = TypeVar("T")

POLL_SECONDS = 0.5
"""How soon a request to stop is noticed while all processes are busy."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Read by numerical libraries when they are loaded, and so to be there before."""


def work(
    tasks: Iterable[T],
    perform: Callable[[T], object],
    *,
    processes: int,
    threads: int = 1,
    ready: Callable[[T], object] = lambda task: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[T, str | None]]:
    """Performs tasks, so many at a time, and yields each as it ends with what went wrong, or None.

    Args:
        perform: called with a task in a process; both are pickled.
        threads: of each process.
        ready: called with a task before its process is started.
        stop: asked now and then. Once it is true the processes are sent SIGTERM, which a training answers with a
            checkpoint; when they have ended, so does the iterator.
    """
    waiting = deque(tasks)
    running: list[_Running[T]] = []
    try:
        while not stop() and (waiting or running):
            while waiting and len(running) < processes:
                ready(waiting[0])
                running.append(_Running(perform, waiting.popleft(), threads))
            ended = wait([one.connection for one in running], timeout=POLL_SECONDS)
            for one in [one for one in running if one.connection in ended]:
                running.remove(one)
                yield one.task, one.fault()
    finally:
        for one in running:
            one.process.terminate()
        for one in running:
            one.process.join()


class _Running(Generic[T]):
    """A task and its process, as the parent sees them."""

    def __init__(self, perform: Callable[[T], object], task: T, threads: int) -> None:
        self.task = task
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads))
        self.process.start()
        theirs.close()
        with suppress(OSError):  # where it is gone already, `fault` says so
            self.connection.send((perform, task))

    def fault(self) -> str | None:
        """What went wrong, once there is something to hear; the process is gone then."""
        with self.connection:
            try:
                fault: str | None = self.connection.recv()
            except (EOFError, OSError):
                self.process.join()
                fault = f"its process ended: {_how(self.process.exitcode)}"
        self.process.join()
        return fault


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"{signal.Signals(-code).name}{', perhaps for want of memory' if code == -signal.SIGKILL else ''}"
    return f"exit code {code}"


# --- in the process -------------------------------------------------------------------------------------------


def _serve(connection: Connection, threads: int) -> None:
    """Performs a task, and sends what went wrong or None."""
    _leave_terminal()
    _end_with_parent()
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    logger.addHandler(logging.NullHandler())  # a run's lines are in its log.jsonl
    perform, task = connection.recv()  # not before, because this loads the numerical libraries
    fault = None
    try:
        perform(task)
    except StoppedError:
        return
    except DcktError as error:
        fault = str(error)
    except Exception as error:
        fault = describe(error)
    with suppress(OSError):  # nobody listens any more
        connection.send(fault)


def _leave_terminal() -> None:
    """Has a Ctrl-C in the terminal reach the parent alone, who passes it on once."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    else:  # Windows knows no such groups; a training that hears it none the less stops as it is about to be told
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with_parent() -> None:
    """Has this process asked to stop when its parent is gone, however that came."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
