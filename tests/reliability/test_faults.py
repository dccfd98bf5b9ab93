"""Other commands than training when the machine gives out: no room at any write, no right to write, few files open,
kills while a folder is changed, two at once, a clock that jumps."""

from __future__ import annotations

import logging
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from dckt_cli.cache import age
from dckt_cli.main import main
from dckt_core.base.errors import DcktError
from dckt_core.contract.discovery import load_registry
from dckt_core.contract.protocols import IndexContext
from dckt_core.io.seal import digests
from dckt_core.retrieval import index_folder
from dckt_core.retrieval.gallery import new_gallery
from dckt_core.retrieval.index_folder import Header, Made
from dckt_core.runs.folder import default_name
from tests.support.processes import Record, ended, forked, together

pytestmark = pytest.mark.faults

WIDTH = 16


@pytest.fixture(scope="module")
def home(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an `index` of the trained run's target, and the cache that it needs."""
    home = tmp_path_factory.mktemp("faults")
    for name in ("source", "target", "runs", "cache"):
        shutil.copytree(trained / name, home / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(home / "cache"))
        patch.chdir(home)
        assert main(["index", "runs/squares", "--medium", "text", "-o", "index", "--quiet"]) == 0
    return home


Program = Callable[[list[str]], int]


def limited(kind: int, most: int) -> Program:
    """The command in a process that has so much of a resource; a write beyond it is an error and no signal."""

    def run(args: list[str]) -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(kind, (most, most))
        return main(args)

    return run


def say(home: Path, args: list[str], program: Program = main) -> tuple[int, str]:
    """The exit code and what is said on stderr, through a pipe: a limit on files is none on what is said."""
    reading, writing = os.pipe()

    def work() -> int:
        os.close(reading)
        os.dup2(writing, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        with os.fdopen(1, "w") as sys.stdout, os.fdopen(2, "w") as sys.stderr:
            logging.getLogger().handlers.clear()  # pytest's own
            os.environ["DCKT_CACHE_DIR"] = str(home / "cache")
            os.chdir(home)
            code = program(args)
            sys.stderr.flush()
            os._exit(code)

    child = forked(work)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        told = stream.read()
    return ended(child), told


def contents(index: Path) -> dict[str, str]:
    header = index_folder.read_header(index)
    index_folder.read_galleries(index, header, load_registry(plugins=False))
    return digests(index, [index / name for name in header.files])


def test_no_room_for_a_change_of_an_index(home: Path, tmp_path: Path, record_property: Record) -> None:
    """Each write of it in turn is the one too many; the index stays as it was, until there is room for all."""
    index = Path(shutil.copytree(home / "index", tmp_path / "index"))
    before, failed = contents(index), 0
    command = ["index", str(index), "--remove", "red-test-0", "--quiet"]
    for room in (0, 100, 600, 1000, 1500, 2000, 2500, 100_000):
        code, told = say(home, command, limited(resource.RLIMIT_FSIZE, room))
        if code == 0:
            break
        failed += 1
        assert (code, told.count("\n")) == (1, 1), told
        assert "File too large" in told
        assert contents(index) == before
    record_property("faults", failed)
    assert code == 0
    assert failed >= 3
    assert contents(index) != before
    assert [folder.name for folder in index.glob("contents-*")] == [index_folder.read_header(index).contents]


@pytest.mark.parametrize(
    "command",
    [
        ["extract", "--run", "runs/squares", "--input", "target", "--medium", "text", "-o", "OUT"],
        ["index", "runs/squares", "--medium", "text", "-o", "OUT"],
        ["evaluate", "runs/squares", "--per-query", "OUT"],
        ["runs", "plot", "runs/squares", "-o", "OUT.png"],
        ["report", "runs/squares", "-o", "OUT"],
        ["export", "runs/squares", "--to", "card", "-o", "OUT"],
        ["verify", "runs/squares", "--accept"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("fault", ["no room", "no right"])
def test_what_cannot_be_written_is_one_line_and_nothing_half(
    home: Path, tmp_path: Path, command: list[str], fault: str
) -> None:
    where = tmp_path / "out"
    where.mkdir()
    words = [word.replace("OUT", str(where / "made")) for word in command]
    before = digests(home / "runs", [file for file in (home / "runs").rglob("*") if file.is_file()])
    program = limited(resource.RLIMIT_FSIZE, 20) if fault == "no room" else partial(_without_right, where, home)
    code, told = say(home, words, program)
    assert code in (1, 2), told
    last = told.splitlines()[-1]
    assert last.startswith("dckt: error: ")
    assert "did not expect" not in told and "Traceback" not in told
    assert "File too large" in last or "Permission denied" in last or "Read-only" in last or "cannot be" in last, last
    assert digests(home / "runs", [file for file in (home / "runs").rglob("*") if file.is_file()]) == before
    assert not list(tmp_path.rglob("*.tmp")) and not list(home.rglob("*.tmp"))


def _without_right(where: Path, home: Path, args: list[str]) -> int:
    """As a user who may read everything and write nothing there. The command runs elsewhere first, so that all is
    imported: the superuser's modules may be closed to others.
    """
    elsewhere = where.with_name("elsewhere")
    elsewhere.mkdir()
    assert main([word.replace(str(where), str(elsewhere)) for word in args]) == 0
    for folder in (where, home / "runs/squares"):
        folder.chmod(0o555)
    try:
        if os.getuid() == 0:
            os.setresuid(-1, 65534, -1)  # nobody: the superuser may write everywhere
        return main(args)
    finally:
        if os.getresuid()[2] == 0:
            os.setresuid(-1, 0, -1)
        for folder in (where, home / "runs/squares"):
            folder.chmod(0o755)


@pytest.mark.parametrize("command", ["extract", "evaluate"])
def test_few_files_may_be_open(home: Path, tmp_path: Path, command: str) -> None:
    """Twenty-four: it works, or says in one line that it does not."""
    words = {
        "extract": ["extract", "--run", "runs/squares", "--input", "target", "--medium", "image", "-o", "OUT"],
        "evaluate": ["evaluate", "runs/squares"],
    }[command]
    words = [word.replace("OUT", str(tmp_path / "made")) for word in [*words, "--quiet"]]
    code, told = say(home, words, limited(resource.RLIMIT_NOFILE, 24))
    assert code == 0 or ("Too many open files" in told and told.count("\n") == 1), told
    code, told = say(home, words)
    assert code == 0, told


# --- kills --------------------------------------------------------------------------------------------------------


def vectors(count: int) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(count))


def changing(index: Path) -> int:
    """Adds items to an index, one after the other, without end."""
    registry = load_registry(plugins=False)
    while True:
        if (index / index_folder.HEADER).is_file():
            header = index_folder.read_header(index)
            galleries = index_folder.read_galleries(index, header, registry)
        else:
            index.mkdir(exist_ok=True)
            header = Header(Made("0", "/run", "result"), WIDTH, "exact", {}, 0, {})
            galleries = {"text": new_gallery("text", "exact", {}, IndexContext(dim=WIDTH, seed=0), registry)}
        count = len(galleries["text"]) + 1
        galleries["text"].add([{"id": str(count), "text": "x" * 3000}], vectors(count)[-1:])
        index_folder.write(index, header, galleries, {"did": "add"}, {})


def carelessly(index: Path) -> int:
    """The same in place: the control."""
    index.mkdir(exist_ok=True)
    while True:
        (index / "items.jsonl").write_bytes(b'{"id": "x"}\n' * 400_000)


def killed(index: Path, work: Callable[[Path], int], seconds: float) -> None:
    child = forked(partial(work, index))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    assert ended(child) == -signal.SIGKILL


@pytest.mark.parametrize("kills", [6, pytest.param(300, marks=pytest.mark.slow)])  # some minutes of kills
def test_an_index_whose_writer_is_killed_is_whole(kills: int, tmp_path: Path, record_property: Record) -> None:
    draw, index, sizes = random.Random(kills), tmp_path / "index", []
    registry = load_registry(plugins=False)
    while len(sizes) < kills:
        killed(index, changing, draw.uniform(0.05, 0.6))
        if not (index / index_folder.HEADER).is_file():  # killed before the first one was there
            continue
        galleries = index_folder.read_galleries(index, index_folder.read_header(index), registry)
        items, rows = galleries["text"].stored()
        sizes.append(len(items))
        assert [item["id"] for item in items] == [str(number) for number in range(1, len(items) + 1)]
        assert rows.shape == (len(items), WIDTH)
    record_property("faults", kills)
    assert sizes == sorted(sizes), "nothing that was there is lost"
    assert sizes[-1] > sizes[0]


@pytest.mark.slow  # the control, for the hundreds of kills
def test_a_careless_writer_of_an_index_would_be_caught(tmp_path: Path, record_property: Record) -> None:
    draw, torn = random.Random(1), 0
    for _ in range(20):
        killed(tmp_path / "index", carelessly, draw.uniform(0.05, 0.3))
        file = tmp_path / "index/items.jsonl"
        torn += not file.exists() or file.stat().st_size != 12 * 400_000
    record_property("note", f"a writer of items in place left {torn} torn files in 20 kills")
    assert torn >= 1


# --- two at once ----------------------------------------------------------------------------------------------------


def test_two_changes_of_one_index(home: Path, tmp_path: Path) -> None:
    index = Path(shutil.copytree(home / "index", tmp_path / "index"))

    def remove(id_: str) -> int:
        os.environ["DCKT_CACHE_DIR"] = str(home / "cache")
        return main(["index", str(index), "--remove", id_, "--quiet"])

    ids = ["red-test-0", "red-test-1", "green-test-0", "green-test-1"]
    codes = together([partial(remove, id_) for id_ in ids])
    assert set(codes) <= {0, 2} and 0 in codes, "done, or told that another is at work"
    left = index_folder.read_galleries(index, index_folder.read_header(index), load_registry(plugins=False))["text"]
    assert {id_ for id_ in ids if id_ not in left.items} == {i for i, c in zip(ids, codes, strict=True) if c == 0}


def test_a_reader_beside_a_writer_reads_the_one_or_the_other(tmp_path: Path) -> None:
    """Or is told that the file is gone that it was about to read; never half of it."""
    index, registry = tmp_path / "index", load_registry(plugins=False)
    child = forked(partial(changing, index))
    try:
        read = 0
        until = time.monotonic() + 60
        while read < 15 and time.monotonic() < until:
            try:
                header = index_folder.read_header(index)
                gallery = index_folder.read_galleries(index, header, registry)["text"]
            except DcktError as error:
                said = str(error)
            else:
                said = ""
            if said:
                assert "no such file" in said or "is not there" in said
                continue
            read += 1
            assert len(gallery) == header.counts["text"]
        assert read
    finally:
        os.kill(child, signal.SIGKILL)
        ended(child)


# --- clocks ---------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a year to come and of 1970: nothing is decided by when they were written."""
    run = Path(shutil.copytree(home / "runs/squares", tmp_path / "run"))
    for number, file in enumerate(sorted(run.rglob("*"))):
        os.utime(file, (4_000_000_000, 4_000_000_000) if number % 2 else (0, 0))
    monkeypatch.chdir(home)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(home / "cache"))
    assert main(["verify", str(run), "--quiet"]) == 0
    assert main(["runs", "list", "--runs-dir", str(tmp_path)]) == 0
    assert age(-86_400) == "1 minute", "of the future"
    assert len({default_name() for _ in range(3)}) >= 1
