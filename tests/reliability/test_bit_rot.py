"""One bit turns in a file that dckt wrote: whoever reads it is told which file, and what makes it anew."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dckt_apps.verify import verify
from dckt_cli.main import main
from dckt_core.base.errors import AlteredError
from dckt_core.contract.discovery import load_registry
from dckt_core.io.feature_files import read_features
from dckt_core.io.json import read_json
from dckt_core.io.seal import Seal, digest, digests, sealed, unsealed
from dckt_core.retrieval import index_folder, shards
from dckt_core.runs.layout import SNAPSHOTS
from dckt_core.runs.record import RunRecord
from dckt_core.runs.seal import run_seal, seal_run
from tests.support.rot import one_bit_turned, refusals
from tests.support.squares import Capture

TIMES = 12
OF_A_RUN = (
    "config.toml", "env.json", "model.json", "calibration.json", "log.jsonl", "metrics.csv", "selection.csv",
    "summary.json", "digests.json", "checkpoints/after.safetensors", "checkpoints/before.safetensors",
    "checkpoints/control.safetensors", "checkpoints/source.safetensors", "checkpoints/space.safetensors",
)  # fmt: skip
Record = Callable[[str, object], None]


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A finished run to spoil."""
    return Path(shutil.copytree(trained / "runs/squares", tmp_path / "run"))


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an `index` and an `extraction` of the run's target."""
    home = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
        patch.chdir(trained)
        assert main(["index", "runs/squares", "-o", str(home / "index"), "--quiet"]) == 0
        how = ["--run", "runs/squares", "--input", "target", "--medium", "text", "--shard-size", "8"]
        assert main(["extract", *how, "-o", str(home / "extraction"), "--quiet"]) == 0
    return home


def read_run_whole(run: Path) -> None:
    """What reports, lists and searches read of a run, and its seal the rest."""
    record = RunRecord(run)
    for name in ("config", "environment", "model", "summary", "metrics", "selection"):
        getattr(record, name)
    seal = run_seal(run)
    seal.check(*(run / name for name in seal.files))


def read_index_whole(index: Path) -> None:
    header = index_folder.read_header(index)
    for gallery in index_folder.read_galleries(index, header, load_registry(plugins=False)).values():
        gallery.stored()


def read_extraction_whole(extraction: Path) -> None:
    opened = shards.open_extraction(extraction)
    opened.load()
    list(opened.items())


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_run_with_a_bit_turned(copy: Path, record_property: Record, name: str) -> None:
    record_property("faults", TIMES)
    for said in refusals(copy / name, lambda: read_run_whole(copy), TIMES, 1):
        assert said.startswith(f"{copy / name}: ")
        assert ("dckt train --config" in said) or ("dckt verify --accept" in said) or "not the" in said, said
        assert "\n" not in said
    read_run_whole(copy)


@pytest.mark.parametrize("checkpoint", ["result", "before", "after", "control"])
def test_a_model_whose_weights_have_a_bit_turned(
    copy: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, checkpoint: str
) -> None:
    """By the command, whichever network it takes."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    monkeypatch.chdir(trained)
    name = {"result": "space"}.get(checkpoint, checkpoint)
    with one_bit_turned(copy / f"checkpoints/{name}.safetensors", random.Random(2)):
        assert main(["evaluate", str(copy), "--checkpoint", checkpoint, "--quiet"]) == 3
    said = capsys.readouterr().err
    assert f"{name}.safetensors: altered since it was written" in said
    assert f"what trains it anew: dckt train --config {copy / 'config.toml'}" in said


@pytest.mark.parametrize("what", ["index", "extraction"])
def test_an_index_and_an_extraction_with_a_bit_turned(
    made: Path, tmp_path: Path, record_property: Record, what: str
) -> None:
    folder = Path(shutil.copytree(made / what, tmp_path / what))
    read = {"index": read_index_whole, "extraction": read_extraction_whole}[what]
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    assert {file.name for file in files} >= {"items.jsonl"}
    record_property("faults", TIMES * len(files))
    for file in files:
        for said in refusals(file, lambda: read(folder), TIMES, 3):
            assert said.startswith(f"{file}: ")
            assert "anew" in said or "format" in said, said
    read(folder)


def test_features_of_an_extraction_with_a_bit_turned(made: Path, tmp_path: Path, record_property: Record) -> None:
    """The other way to read it, as features of a data set."""
    folder = Path(shutil.copytree(made / "extraction", tmp_path / "extraction"))
    files = [file for file in sorted(folder.iterdir()) if not file.name.startswith(".")]
    record_property("faults", 4 * len(files))
    for file in files:
        assert all(said.startswith(f"{file}: ") for said in refusals(file, lambda: read_features(folder), 4, 4))
    read_features(folder)


def test_without_digests_most_would_be_taken(copy: Path, record_property: Record) -> None:
    """The control: the same bits, and readers that look at no digest."""

    def plain(file: Path) -> object:
        if file.suffix == ".json":
            return read_json(file, "JSON")
        text = file.read_text(encoding="utf-8")
        return list(csv.DictReader(io.StringIO(text), strict=True))

    taken = tried = 0
    for name in ("env.json", "summary.json", "metrics.csv", "selection.csv"):
        for turned in range(TIMES):
            with one_bit_turned(copy / name, random.Random(turned)):
                tried += 1
                try:
                    plain(copy / name)
                    taken += 1
                except Exception:
                    continue
    record_property(
        "note", f"of {tried} turned bits in a run's tables and facts {taken} went unnoticed without digests"
    )
    assert taken > tried // 3


def test_an_extraction_is_mended_by_the_same_command(
    made: Path, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    monkeypatch.chdir(trained)
    folder = Path(shutil.copytree(made / "extraction", tmp_path / "extraction"))
    good = {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix in (".safetensors", ".jsonl")}
    how = ["--run", "runs/squares", "--input", "target", "--medium", "text", "--shard-size", "8", "--quiet"]
    for name in ("items.jsonl", "shard-00001.safetensors", "extraction.json"):
        file = folder / name
        content = file.read_bytes()
        file.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
        with pytest.raises(AlteredError):
            read_extraction_whole(folder)
        assert main(["extract", *how, "-o", str(folder)]) == 0
        assert f"{file}: " in capsys.readouterr().err
        read_extraction_whole(folder)
    assert {name: (folder / name).read_bytes() for name in good} == good


# --- dckt verify --------------------------------------------------------------------------------------------------


def test_a_folder_is_verified_whole(
    copy: Path, made: Path, trained: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what in ("index", "extraction"):
        shutil.copytree(made / what, tmp_path / what)
    shutil.copytree(trained / "cache", tmp_path / "cache")
    assert main(["verify", str(tmp_path), "--quiet"]) == 0
    told = capsys.readouterr().out.splitlines()
    kinds = {line.partition(", ")[0].rpartition(": ")[2] for line in told}
    assert kinds >= {"run", "index", "extraction", "features"}
    assert all(line.endswith("files whole") for line in told)
    spoilt = [copy / "summary.json", tmp_path / "extraction/items.jsonl", tmp_path / "index/index.json"]
    spoilt.append(next((tmp_path / "cache/features").rglob("*.safetensors")))
    for file in spoilt:
        content = bytearray(file.read_bytes())
        content[-9] ^= 1
        file.write_bytes(content)
    (copy / "metrics.csv").unlink()
    assert main(["verify", str(tmp_path), "--json", "--quiet"]) == 3
    found = json.loads(capsys.readouterr().out)
    faults = {fault["file"]: fault for one in found["found"] for fault in one["faults"]}
    assert not found["whole"]
    assert set(faults) == {str(copy / "metrics.csv"), *map(str, spoilt)}
    assert all(fault["says"] and "anew" in fault["remedy"] for fault in faults.values()), faults


def test_files_that_somebody_changed_are_accepted(copy: Path, capsys: Capture) -> None:
    (copy / "config.toml").write_text((copy / "config.toml").read_text() + "\n# the data lie elsewhere now\n")
    assert main(["verify", str(copy)]) == 3
    assert f"{copy / 'config.toml'}: altered since it was written" in capsys.readouterr().out
    assert main(["verify", str(copy), "--accept"]) == 0
    read_run_whole(copy)


@pytest.mark.parametrize("what", ["index", "extraction"])
def test_so_they_are_of_an_index_and_an_extraction(made: Path, tmp_path: Path, what: str) -> None:
    folder = Path(shutil.copytree(made / what, tmp_path / what))
    file = next(folder.rglob("items.jsonl"))
    file.write_bytes(file.read_bytes().replace(b"square", b"SQUARE"))
    assert main(["verify", str(folder), "--quiet"]) == 3
    assert main(["verify", str(folder), "--accept", "--quiet"]) == 0
    {"index": read_index_whole, "extraction": read_extraction_whole}[what](folder)


def test_nothing_is_vouched_for_that_is_not_there(tmp_path: Path, copy: Path, capsys: Capture) -> None:
    assert main(["verify", str(tmp_path / "nowhere")]) == 3
    (tmp_path / "empty").mkdir()
    assert main(["verify", str(tmp_path / "empty")]) == 3
    assert "holds no run, index, extraction, experiment or cache" in capsys.readouterr().err
    (copy / "digests.json").unlink()
    (copy / "summary.json").unlink()
    assert main(["verify", str(copy), "--accept"]) == 2
    assert [one.kind for one in verify(copy)] == ["unfinished run"]


def test_a_run_is_finished_by_its_digests(copy: Path, capsys: Capture) -> None:
    """Killed between the summary and the digests, it is a run that can go on, and no finished one."""
    (copy / "digests.json").unlink()
    assert RunRecord(copy).status == "stopped"
    assert RunRecord(copy).summary is None
    assert main(["evaluate", str(copy), "--quiet"]) == 3
    assert "not a finished run (digests.json is not there; dckt verify --accept writes it)" in capsys.readouterr().err
    seal_run(copy)
    assert RunRecord(copy).status == "finished"


# --- the mechanism ------------------------------------------------------------------------------------------------


def test_digests_name_contents(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"x" * 3_000_000)
    b.write_bytes(b"x" * 3_000_000)
    assert digest(a) == digest(b)
    assert len(digest(a)) == 32
    before = digest(b)
    b.write_bytes(b"x" * 2_999_999 + b"y")
    assert digest(b) != before
    seal = Seal(tmp_path, digests(tmp_path, [a, b]), "make it anew")
    seal.check(a, b)
    (tmp_path / "c").touch()
    with pytest.raises(AlteredError, match="none of the files that were written with the others; make it anew"):
        seal.check(tmp_path / "c")
    a.unlink()
    with pytest.raises(AlteredError, match="no such file, and there was one"):
        seal.check(a)
    named = Seal(tmp_path / "x", dict.fromkeys(["../b", "/etc/passwd", "a" * 5000, "a\0b"], digest(b)), "")
    assert [named.fault(name) for name in named.files] == ["no file of the folder"] * 2 + [
        "no such file, and there was one"
    ] * 2


@pytest.mark.parametrize("value", [{}, {"a": [1, 2.5, None, "犬\ud800"]}, {"sealed": 1, "nan": float("nan")}])
def test_sealed_objects_come_back(tmp_path: Path, value: dict[str, Any]) -> None:
    kept = json.loads(json.dumps(sealed({k: v for k, v in value.items() if k != "sealed"})))
    assert repr(unsealed(kept)) == repr({k: v for k, v in value.items() if k != "sealed"})
    with pytest.raises(ValueError, match="altered"):
        unsealed({**kept, "b": 0})
    with pytest.raises(ValueError, match="no digest"):
        unsealed({"a": 1})


def test_what_a_run_goes_on_from_is_no_part_of_its_digests(tmp_path: Path) -> None:
    from dckt_core.engine.snapshot import SUFFIX

    assert f"*{SUFFIX}" == SNAPSHOTS
    (tmp_path / "checkpoints").mkdir()
    for name in ("config.toml", f"checkpoints/000001{SUFFIX}", ".lock", "checkpoints/space.safetensors"):
        (tmp_path / name).write_bytes(torch.zeros(2).numpy().tobytes())
    seal_run(tmp_path)
    assert set(run_seal(tmp_path).files) == {"config.toml", "checkpoints/space.safetensors"}
