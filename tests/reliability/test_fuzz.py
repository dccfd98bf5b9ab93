"""A few hundred spoilt files for each reader; `python -m tests.reliability.fuzz` has a hundred thousand."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dckt_core.base.errors import DcktError
from tests.reliability import fuzz as script
from tests.reliability.fuzz import fuzz
from tests.support.mutations import WAYS, spoil
from tests.support.readers import Reader, readers
from tests.support.readers_search import NATIVE

READERS = (
    "manifest", "config", "checkpoint", "snapshot", "snapshot, restored", "feature cache", "verdict cache", "model",
    "weights", "weights, safetensors", "word vectors", "word vectors, binary",
    "word vectors, packed", "word vectors, fastText", "image",
    *(f"index of {name}" for name in NATIVE),
    "extraction", "shard", "index", "digests of a run", "items", "queries", "queries, plain",
)  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def known(work: Path) -> dict[str, Reader]:
    return readers(work)


def test_every_reader_is_here(known: dict[str, Reader]) -> None:
    assert tuple(known) == READERS


@pytest.mark.parametrize("name", READERS)
def test_good_files_are_taken(known: dict[str, Reader], work: Path, name: str) -> None:
    for seed in known[name].seeds:
        (work / known[name].file).write_bytes(seed)
        known[name].read(work)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")  # torch's, of files that are no pickles
@pytest.mark.parametrize("name", READERS)
def test_spoilt_files_bring_out_no_other_error(
    known: dict[str, Reader], work: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCKT_MAX_PIXELS", "1000000")
    cases = 20 if name == "snapshot, restored" else 150
    tally = fuzz(known[name], cases, 1, work, lambda content: repr(content[:200]))
    assert tally.escaped == []
    assert tally.cases == tally.taken + tally.refused == cases


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from([name for name in READERS if name != "snapshot, restored"]))
def test_whatever_the_bytes(
    known: dict[str, Reader], work: Path, data: st.DataObject, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hypothesis makes of it: any bytes, or a good file with a piece of any bytes in it."""
    monkeypatch.setenv("DCKT_MAX_PIXELS", "1000000")
    read_anything(known[name], work, data)


@pytest.mark.slow  # ten thousand examples of the same
@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from([name for name in READERS if name != "snapshot, restored"]))
def test_whatever_the_bytes_ten_thousand_times(
    known: dict[str, Reader], work: Path, data: st.DataObject, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCKT_MAX_PIXELS", "1000000")
    read_anything(known[name], work, data)


def read_anything(reader: Reader, work: Path, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from([b"", *reader.seeds]))
    place, length = data.draw(st.integers(0, len(seed))), data.draw(st.integers(0, 20))
    (work / reader.file).write_bytes(seed[:place] + data.draw(st.binary(max_size=60)) + seed[place + length :])
    said = "taken"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reader.read(work)
        except DcktError as error:
            said = str(error)
    assert said
    assert "\n" not in said


def test_an_error_that_escapes_is_told_of_with_its_file(tmp_path: Path) -> None:
    """The control: a careless reader is caught."""

    def careless(folder: Path) -> object:
        return (folder / "x").read_bytes().decode("utf-8")

    left: list[bytes] = []
    tally = fuzz(
        Reader("x", careless, ["犬 and cat".encode() * 9]), 300, 0, tmp_path, lambda c: left.append(c) or "left"
    )
    assert len(tally.escaped) == len(left) > 10
    assert all(line.startswith("UnicodeDecodeError") and line.endswith(", left") for line in tally.escaped)


def test_the_same_seed_spoils_alike() -> None:
    seeds = [b'{"a": [1, 2, {"b": "c"}]}', b"plain"]
    first, again = ([spoil(seeds, random.Random(number), WAYS) for number in range(200)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 150
    for way in WAYS:
        changed = {way(seeds[0], random.Random(number)) for number in range(60)}
        assert len(changed) > 10, way


def test_the_script_counts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DCKT_MAX_PIXELS", "1000000")
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("resource.setrlimit", lambda *limits: None)  # would outlive this test, as the next ones
    monkeypatch.setattr(script.logger, "setLevel", lambda level: None)
    monkeypatch.setattr(script.faulthandler, "enable", lambda: None)
    with warnings.catch_warnings():
        assert script.main(["--reader", "manifest", "--cases", "40", "--json", str(tmp_path / "counts.json")]) == 0
    assert "40 cases in all, 0 escaped" in capsys.readouterr().out
    assert '"cases": 40' in (tmp_path / "counts.json").read_text()
