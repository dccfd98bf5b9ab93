"""The machine gives out in the middle of a training: the run is left whole, the user told, and the run goes on after.

Trainings run in this process or in forked ones. A file system that is full or read-only is a real one of a few
megabytes, mounted for the test; where that is not allowed, the test is skipped.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file

from dckt_cli.main import main
from dckt_core.base.errors import MachineError, PluginError, StoppedError, StorageError, UsageError
from dckt_core.contract.pairs import TextItem
from dckt_core.data.features import compute_features
from dckt_core.engine.processes import Engine
from dckt_core.engine.snapshot import SUFFIX, load_snapshot
from dckt_core.io.files import write_text
from dckt_core.method.loop import Trainer
from dckt_core.runs.folder import RunFolder
from tests.support import tiny
from tests.support.processes import together
from tests.support.squares import ENCODER, SMALL_TEXTS, error, flags, weights
from tests.support.trainings import at_update

pytestmark = pytest.mark.faults

Capture = pytest.CaptureFixture[str]
Train = Callable[..., int]
EVERY_UPDATE = {"checkpoint_minutes": 0}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """`small_disk(megabytes)` mounts a file system of that size."""
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("no mount command here")
        if done.returncode != 0:
            pytest.skip(f"may not mount a file system: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def fill_up(folder: Path) -> Path:
    """Leaves no room; removing the file that is returned makes room again."""
    ballast, size = folder / "ballast", 1 << 20
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    while size:
        try:
            os.write(file, bytes(size))
        except OSError:
            size //= 2
    os.close(file)
    return ballast


def whole(run: Path) -> None:
    """No torn file: everything in the run folder that has a format can be read, and no temporary is left."""
    assert not list(run.rglob("*.tmp"))
    for file in run.glob("checkpoints/*.safetensors"):
        load_file(file)
        if file.name.endswith(SUFFIX):
            load_snapshot(file)
    json.loads((run / "model.json").read_text())


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The weights of a run that nothing befell."""
    home = tmp_path_factory.mktemp("whole")
    where = ["--source", str(data / "source"), "--target", str(data / "target"), "--runs-dir", str(home)]
    options = ["--device", "cpu", *ENCODER, *SMALL_TEXTS, *flags(**EVERY_UPDATE), "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(data / "cache"))
        assert main(["train", *where, "--name", "whole", *options]) == 0
    return weights(home / "whole")


# --- disks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [3, 29])
def test_a_disk_that_fills_up(
    train: Train,
    expected: dict[str, bytes],
    small_disk: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    number: int,
) -> None:
    disk = small_disk(24)
    with monkeypatch.context() as patch:
        at_update(patch, number, lambda: fill_up(disk))
        assert train("--runs-dir", str(disk), **EVERY_UPDATE) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"dckt: error: {disk / 'a'}/")
    assert "cannot be written: " in told[-1]
    assert "No space left on device" in told[-1]
    assert "Traceback" not in "".join(told)
    assert f"go on with: dckt train --resume {disk / 'a'}" in "".join(told)
    whole(disk / "a")
    (disk / "ballast").unlink()
    assert main(["train", "--resume", str(disk / "a"), "--quiet"]) == 0
    assert weights(disk / "a") == expected


def test_a_checkpoint_that_finds_no_room_is_told_of_and_training_goes_on(
    train: Train,
    expected: dict[str, bytes],
    small_disk: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    from dckt_plugins.observers.csv import CSVObserver

    disk = small_disk(48)
    monkeypatch.setattr(CSVObserver, "on_metrics", lambda self, row: None)  # needs room for a row now and then
    at_update(monkeypatch, 3, lambda: fill_up(disk))
    at_update(monkeypatch, 18, (disk / "ballast").unlink)
    assert train("--runs-dir", str(disk), **EVERY_UPDATE) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "the checkpoint before stays the last" in line]
    assert len(told) == 18 - 3
    assert weights(disk / "a") == expected


def test_a_disk_that_was_full_from_the_start(train: Train, small_disk: Callable[..., Path], capsys: Capture) -> None:
    disk = small_disk(1)
    ballast = fill_up(disk)
    assert train("--runs-dir", str(disk)) == 1
    assert "No space left on device" in error(capsys)
    assert [file.name for file in disk.iterdir()] == ["ballast"], "nothing half made"
    ballast.unlink()


WRITING = ((tempfile, "mkstemp"), (Path, "rename"))


def test_a_disk_that_becomes_read_only(
    train: Train, small_disk: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    disk = small_disk(24)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:  # the system itself only mounts it read-only once nothing is open there
        at_update(patch, 30, lambda: [patch.setattr(owner, name, refuse) for owner, name in WRITING])
        assert train("--runs-dir", str(disk)) == 1
    assert "Read-only file system" in error(capsys)
    whole(disk / "a")
    read_only(disk)
    assert main(["train", "--resume", str(disk / "a")]) == 1
    assert f"{disk / 'a'}: cannot be written: Read-only file system" in error(capsys)
    assert train("--runs-dir", str(disk), name="b") == 2
    assert f"{disk / 'b'}: cannot be made: Read-only file system" in error(capsys)


def test_a_model_on_a_read_only_disk_is_read(
    trained: Path, small_disk: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    disk = small_disk(24)
    shutil.copytree(trained / "runs/squares", disk / "model")
    read_only(disk)
    monkeypatch.chdir(trained)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(disk / "cache"))
    assert main(["evaluate", str(disk / "model"), "--json", "--quiet"]) == 0
    assert main(["search", str(disk / "model"), "--text", "a red square", "--quiet"]) == 0


def test_a_file_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone/x: cannot be written: No such file or directory"):
        write_text(tmp_path / "gone/x", "")


# --- the cache ----------------------------------------------------------------------------------------------------


def test_a_cache_that_is_removed_while_training_runs(
    train: Train, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("DCKT_CACHE_DIR", str(cache))
    assert train("--quiet", name="first") == 0
    with monkeypatch.context() as patch:  # the features are read from the cache this time
        at_update(patch, 5, lambda: shutil.rmtree(cache))
        assert train("--quiet", name="second") == 0
    assert not (cache / "features").exists()
    assert weights(Path("runs/first")) == weights(Path("runs/second")) == expected


def test_a_cache_of_corrupted_files_is_noticed_and_made_anew(
    train: Train, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    assert train("--quiet", name="first") == 0
    files = sorted((tmp_path / "cache/features").glob("*/*.safetensors"))
    good = [file.read_bytes() for file in files]
    for number, (file, content) in enumerate(zip(files, good, strict=True)):
        place = [len(content) - 1, len(content) // 2, len(content) - 5, 12][number % 4]
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    capsys.readouterr()
    assert train(name="second") == 0
    assert capsys.readouterr().err.count("is computed anew") == len(files) == 4
    assert weights(Path("runs/second")) == expected
    for file, content in zip(files, good, strict=True):
        assert torch.equal(load_file(file)["features"], safetensors.torch.load(content)["features"])


# --- several at once ----------------------------------------------------------------------------------------------


def test_two_trainings_on_one_cache(
    train: Train, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    assert together([partial(train, "--quiet", name=name) for name in "abc"]) == [0, 0, 0]
    assert all(weights(Path("runs", name)) == expected for name in "abc")
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_two_trainings_on_one_name(train: Train, expected: dict[str, bytes]) -> None:
    codes = together([partial(train, "--quiet", name="a")] * 3)
    assert sorted(codes) == [0, 2, 2]
    assert weights(Path("runs/a")) == expected
    assert sorted(folder.name for folder in Path("runs").iterdir()) == ["a"]


@pytest.mark.parametrize("attempts", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_many_at_once_on_one_name_leave_one_whole_folder(
    attempts: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Nobody sweeps away what another is about to make; where one is killed on the way, its leavings are swept."""
    record_property("faults", attempts)

    def create(number: int) -> int:
        def fill(part: Path) -> None:
            for step in range(5):
                (part / f"{step}").write_text(str(number))
                time.sleep(0.001 * (number % 3))
            if number == 7:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            RunFolder.create(tmp_path / "runs", name, fill)
        except UsageError:
            return 2
        time.sleep(0.3)
        return 0

    for attempt in range(attempts):
        name = f"a{attempt}"
        codes = together([partial(create, number) for number in range(8)])
        assert codes.count(0) == 1, codes
        assert set(codes) <= {0, 2, -signal.SIGKILL}
        run = tmp_path / "runs" / name
        said = {(run / f"{step}").read_text() for step in range(5)}
        assert said == {str(codes.index(0))}, "one process wrote it all"
        assert (run / "checkpoints").is_dir()
    with pytest.raises(UsageError, match="there already"):
        RunFolder.create(tmp_path / "runs", "a0", lambda part: None)
    RunFolder.create(tmp_path / "runs", "swept", lambda part: None)


def test_what_killed_writers_left_is_swept_when_a_run_goes_on(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", lambda part: (part / "config.toml").write_text("") and None)
    left = [folder.path / name for name in (".selection.csv.x.tmp", "checkpoints/.after.safetensors.x.tmp")]
    for file in left:
        file.write_text("half")
    with pytest.raises(UsageError, match="another training is at work"):
        RunFolder.reopen(folder.path)
    assert all(file.exists() for file in left), "they may be of the training that is at work"
    with pytest.raises(StoppedError), folder.recording():
        raise StoppedError("stopped")
    RunFolder.reopen(folder.path)
    assert sorted(file.name for file in folder.path.rglob("*") if file.is_file()) == [
        ".lock",
        "config.toml",
        "log.jsonl",
    ]


def test_a_run_that_is_at_work_is_not_resumed_by_another(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a", lambda part: (part / "config.toml").write_text("") and None)

    def other() -> int:
        try:
            RunFolder.reopen(folder.path)
        except UsageError as error:
            return 2 if "another training is at work" in str(error) else 98
        return 0

    assert together([other, other]) == [2, 2]
    with pytest.raises(StoppedError), folder.recording():
        raise StoppedError("stopped")
    assert together([other]) == [0]


# --- processes ----------------------------------------------------------------------------------------------------

KILLS_ITSELF = """
import os, signal, sys
from dckt_core.method.loop import Trainer
from dckt_cli.main import main
step, count = Trainer._step, 0
def counted(self, *of_the_update):
    global count
    count += 1
    if os.environ["RANK"] == os.environ["DIES"] and count == int(os.environ["DIES_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    step(self, *of_the_update)
Trainer._step = counted
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def two(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`two("--name", "a", dies=1, at=7)` trains in two processes, of which one may be killed; the finished command."""
    home = tmp_path_factory.mktemp("two")
    script = home / "kills_itself.py"
    script.write_text(KILLS_ITSELF)

    def run(*arguments: str, dies: int = -1, at: int = 0) -> tuple[Path, subprocess.CompletedProcess[str]]:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
        variables = {"DCKT_CACHE_DIR": str(data / "cache"), "OMP_NUM_THREADS": "1"}
        variables |= {"DIES": str(dies), "DIES_AT": str(at)}
        done = subprocess.run(
            [*command, "train", *arguments], capture_output=True, text=True, env=os.environ | variables, cwd=home
        )
        return home, done

    return run


@pytest.fixture(scope="module")
def two_alone(two: Callable[..., Any], data: Path) -> tuple[list[str], dict[str, bytes]]:
    where = ["--source", str(data / "source"), "--target", str(data / "target"), "--device", "cpu", *ENCODER]
    options = [*where, *flags(checkpoint_minutes=0), "--quiet"]
    home, done = two("--name", "whole", *options)
    assert done.returncode == 0, done.stderr
    return options, weights(home / "runs/whole")


@pytest.mark.slow  # three starts of torchrun
@pytest.mark.parametrize(("dies", "at"), [(1, 7), (0, 30)])
def test_a_process_of_two_is_killed_and_the_run_goes_on(
    two: Callable[..., Any], two_alone: tuple[list[str], dict[str, bytes]], dies: int, at: int
) -> None:
    options, expected = two_alone
    name = f"dies-{dies}"
    home, done = two("--name", name, *options, dies=dies, at=at)
    assert done.returncode != 0
    if dies == 1:
        assert "dckt: error: another process of this training is gone" in done.stderr
        assert "did not expect" not in done.stderr
    run = home / "runs" / name
    assert run.is_dir(), "it stays where it is"
    whole(run)
    home, done = two("--resume", str(run), "--quiet")
    assert done.returncode == 0, done.stderr
    assert weights(run) == expected


# --- memory -------------------------------------------------------------------------------------------------------

SHORTAGES = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB)"),
    MemoryError(),
]


def test_out_of_memory_in_a_batch(train: Train, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def fail() -> None:
        raise SHORTAGES[0]  # the others are told apart where less has to be trained for it: below

    at_update(monkeypatch, 28, fail)
    assert train("--quiet", **EVERY_UPDATE) == 1
    line = error(capsys)
    assert "out of memory after update 2 of 'transfer'" in line
    assert "pretrain.batch or transfer.batch (now 8 and 8)" in line
    whole(Path("runs/a"))


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_out_of_memory_in_a_plugin(shortage: Exception) -> None:
    def discrepancy(source: Any, target: Any) -> Any:
        raise shortage

    made = tiny_trainer(discrepancy)
    with pytest.raises(MachineError, match=r"out of memory after update 0 of 'transfer'; try a smaller"):
        made.run()


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_out_of_memory_in_a_frozen_encoder(shortage: Exception) -> None:
    class Large(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            raise shortage

    encoder = replace(tiny.encoders()[1], prepare=lambda items: torch.zeros(len(items), 5), module=Large())
    items = [TextItem(str(number), "text") for number in range(3)]
    with pytest.raises(MachineError) as caught:
        compute_features(encoder, items, device=torch.device("cpu"), batch=64)
    said = "out of memory while encoding 3 texts; try a smaller encode_batch (now 64), such as 16"
    assert str(caught.value) == said


@pytest.mark.parametrize("fault", [RuntimeError("shapes differ"), ValueError("out of memory, says a plugin")])
def test_other_errors_stay_what_they_are(fault: Exception) -> None:
    def discrepancy(source: Any, target: Any) -> Any:
        raise fault

    with pytest.raises(PluginError):
        tiny_trainer(discrepancy).run()


def tiny_trainer(discrepancy: Any) -> Trainer:
    config = tiny.config()
    source, target = tiny.domain("source", classes=4, per_class=6), tiny.domain("target", classes=3, per_class=5)
    sampler, guarded = tiny.guarded(tiny.Everything(), discrepancy)
    networks = tiny.networks(config, source, target)
    return Trainer(
        config,
        source=source,
        target=target,
        networks=networks,
        sampler=sampler,
        discrepancy=guarded,
        engine=Engine("cpu"),
        save=lambda what, network: None,
    )
