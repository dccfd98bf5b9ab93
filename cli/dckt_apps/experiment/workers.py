"""Tasks in processes of their own, each on one task at a time. A process that dies costs its task alone."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from dckt_core.base.errors import DcktError, StoppedError, describe
from dckt_core.base.progress import logger

T = TypeVar("T")

POLL_SECONDS = 0.5
"""How soon a request to stop is noticed while all processes are busy."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Read by numerical libraries when they are loaded, and so to be there before."""


def work(
    tasks: Iterable[T],
    prepare: Callable[[], Callable[[T], object]],
    *,
    processes: int,
    threads: int = 1,
    ready: Callable[[T], object] = lambda task: None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[T, str | None]]:
    """Performs tasks, and yields each as it ends with what went wrong, or None.

    Args:
        prepare: called once in each process; what it gives back performs a task. It is pickled, as tasks are.
        threads: of each process.
        ready: called with a task before a process is given it.
        stop: asked now and then. Once it is true the processes are sent SIGTERM, which a training answers with a
            checkpoint; when they have ended, so does the iterator.
    """
    waiting = deque(tasks)
    workers: list[_Worker[T]] = []
    try:
        while not stop() and (waiting or any(worker.busy for worker in workers)):
            while waiting and len(workers) < processes:
                workers.append(_Worker(prepare, threads))
            for worker in workers:
                if waiting and not worker.busy:
                    ready(waiting[0])
                    worker.give(waiting.popleft())
            heard = wait([worker.connection for worker in workers if worker.busy], timeout=POLL_SECONDS)
            for worker in [worker for worker in workers if worker.connection in heard]:
                task, fault = worker.hear()
                if worker.gone:
                    workers.remove(worker)
                yield task, fault
    finally:
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.process.join()


class _Worker(Generic[T]):
    """A process, as its parent sees it."""

    def __init__(self, prepare: Callable[[], Callable[[T], object]], threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, prepare))
        with _environment(dict.fromkeys(THREAD_VARIABLES, str(threads))):
            self.process.start()
        theirs.close()
        self.gone = False
        self._tasks: list[T] = []  # the one that it is at, or none

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    def give(self, task: T) -> None:
        self._tasks.append(task)
        try:
            self.connection.send(task)
        except OSError:  # it is gone; `hear` will find out
            return

    def hear(self) -> tuple[T, str | None]:
        """The task that ended, and what went wrong with it."""
        task = self._tasks.pop()
        try:
            fault: str | None = self.connection.recv()
        except (EOFError, OSError):
            self.gone = True
            self.process.join()
            fault = f"its process ended: {_how(self.process.exitcode)}"
        return task, fault

    def dismiss(self) -> None:
        """Asks for an end: of an idle process at once, of a busy one by SIGTERM."""
        if self.busy:
            self.process.terminate()
        self.connection.close()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"{signal.Signals(-code).name}{', perhaps for want of memory' if code == -signal.SIGKILL else ''}"
    return f"exit code {code}"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables that a process started in the block finds set."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# --- in the process -------------------------------------------------------------------------------------------


def _serve(connection: Connection, prepare: Callable[[], Callable[[Any], object]]) -> None:
    """Performs the tasks that come, until no more do."""
    os.setpgrp()  # a Ctrl-C in the terminal reaches the parent alone, who passes it on once
    _end_with_parent()
    logger.addHandler(logging.NullHandler())  # a run's lines are in its log.jsonl
    perform = prepare()
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        fault = None
        try:
            perform(task)
        except StoppedError:
            return
        except DcktError as error:
            fault = str(error)
        except Exception as error:
            fault = describe(error)
        try:
            connection.send(fault)
        except OSError:  # nobody listens any more
            return


def _end_with_parent() -> None:
    """Has this process asked to stop when its parent is gone, however that came."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
