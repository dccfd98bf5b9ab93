"""Work in forked processes, which start in no time because everything is imported: one, several, or one run's ranks."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from dckt_cli.main import main


def forked(work: Callable[[], int | None]) -> int:
    """The number of a process that does the work, in silence, and ends with its exit code; 99 after an exception."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            torch.set_num_threads(1)  # a fork has none of its parent's OpenMP threads, and would wait for them
            code = work() or 0
        finally:
            os._exit(code)
    return child


def ended(child: int) -> int:
    """Its exit code once it has ended, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def together(works: Sequence[Callable[[], int]]) -> list[int]:
    """Does all of them at the same time; their exit codes."""
    return [ended(child) for child in [forked(work) for work in works]]


def as_ranks(work: Callable[[], object], processes: int = 2) -> None:
    """Does the work in processes that are the ranks of one run, as those are that `torchrun` starts.

    Raises:
        AssertionError: one of them failed; its traceback is the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = [Path(folder, f"rank-{rank}") for rank in range(processes)]

        def as_rank(rank: int) -> int:
            import torch.distributed
            from accelerate.state import AcceleratorState

            AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests of this process
            ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
            os.environ.update({name: str(value) for name, value in ranks.items()})
            try:
                where = f"file://{folder}/meet"
                torch.distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=processes)
                work()
            except BaseException:
                told[rank].write_text(traceback.format_exc())
                return 1
            return 0

        codes = together([lambda rank=rank: as_rank(rank) for rank in range(processes)])  # type: ignore[misc]
        said = "\n".join(file.read_text() for file in told if file.exists())
        assert codes == [0] * processes, f"exit codes {codes}\n{said}"


# --- trainings of the small run, for tests that kill them or send them signals ---------------------------------


def preload() -> None:
    """Imports what a training needs, once here and not in every process that is forked."""
    plugins = ("dckt_plugins.encoders.vgg19", "dckt_plugins.encoders.wordcnn")
    for module in ("dckt_cli.train", "dckt_core.runs.train", *plugins, "gensim.models", "torchvision.models"):
        import_module(module)


def train(name: str, flags: Sequence[str]) -> int:
    """Trains the squares of the current folder."""
    return main(
        ["train", "--preset", "paper", "--source", "source", "--target", "target", "--name", name, *flags, "--quiet"]
    )


def resume(name: str) -> int:
    return main(["train", "--resume", f"runs/{name}", "--quiet"])


def in_child(home: Path, work: Callable[[], int], kill_after: float | None = None) -> int:
    """The exit code of work in a folder; -SIGKILL where it was killed after some seconds of it."""

    def there() -> int:
        os.environ["DCKT_CACHE_DIR"] = str(home / "cache")
        with chdir(home):
            return work()

    child = forked(there)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return ended(child)


def same_end(whole: Path, other: Path) -> None:
    """Both runs end with the same bits, and nothing half-written stays."""
    for name in ("metrics.csv", "selection.csv", *(f"checkpoints/{n}.safetensors" for n in ("before", "after"))):
        assert (whole / name).read_bytes() == (other / name).read_bytes(), name
    assert not list(other.rglob("*.tmp"))
    assert not list(other.glob("checkpoints/*.state.safetensors"))


Record = Callable[[str, Any], None]
"""pytest's record_property."""
