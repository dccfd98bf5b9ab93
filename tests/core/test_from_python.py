"""What the commands do, as functions: the command line is a thin layer over them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import torch

import dckt_core
from dckt_cli.main import main
from tests.support.rows import LABELS, SOURCE, TEST, TRAIN, Folder, flags
from tests.support.squares import Capture


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `source` and `target`, data sets with features."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    source, target = Folder(tmp_path / "source"), Folder(tmp_path / "target")
    source.add("train", SOURCE.images, SOURCE.texts, list(SOURCE.labels))
    target.add("train", TRAIN.images, TRAIN.texts, list(TRAIN.labels))
    target.add("test", TEST.images, TEST.texts, list(TEST.labels))
    source.write()
    target.write()
    return tmp_path


def layer() -> dict[str, Any]:
    """The same as `flags`, as a layer of the configuration."""
    files = {role: {"location": role} for role in ("source", "target")}
    return files | {
        key: {"name": f"precomputed-{medium}", "source": f"source/{medium}.npz", "target": f"target/{medium}.npz"}
        for key, medium in (("encoder", "image"), ("text_encoder", "text"))
    }


def test_names_are_functions_and_torch_stays_out() -> None:
    for name in ("train", "resume", "evaluate", "extract", "load", "resolve_config"):
        assert isinstance(getattr(dckt_core, name), FunctionType), name
    code = "import sys, dckt_core; assert not {'torch', 'sklearn', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_train_and_evaluate_are_what_the_commands_do(home: Path, capsys: Capture) -> None:
    wanted = [*flags(Path("source"), Path("target")), "--device", "cpu", "--seed", "5", "--quiet"]
    assert main(["train", *wanted, "--name", "typed", "--json"]) == 0
    typed = json.loads(capsys.readouterr().out)
    told: list[str] = []
    context = dckt_core.Context(progress=lambda done, total, what: told.append(what))

    config = dckt_core.resolve_config(flags={**layer(), "device": "cpu", "seed": 5})
    assert isinstance(config, dckt_core.Config)
    result = dckt_core.train(config, context=context, name="called")

    assert result.run_dir == Path("runs/called")
    assert result.summary["test"] == typed["test"]
    assert any(what.startswith("encoding") for what in told)
    spaces = [dckt_core.load(f"runs/{name}").fingerprint for name in ("typed", "called")]
    assert spaces[0] == spaces[1]

    assert main(["evaluate", "runs/typed", "--quiet", "--json", "--k", "3"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    found = dckt_core.evaluate("runs/called", ks=[3])
    assert json.loads(json.dumps(found.as_json())).items() <= evaluated.items()
    assert found.summary() == found.summary(5), "the run's seed, where no other is said"
    assert found.summary()["mean"].classes.keys() == set(LABELS)
    with pytest.raises(dckt_core.DataError, match="split 'val' is empty"):
        dckt_core.evaluate("runs/called", split="val")
    with pytest.raises(dckt_core.UsageError, match="the run is finished"):
        dckt_core.resume("runs/called")


def test_another_checkpoint_of_a_run_is_had_by_the_same_encoders(run: str) -> None:
    model = dckt_core.load(run)
    after = model.at("after")
    assert after.setup is model.setup
    assert after.checkpoint == "after"
    alone = dckt_core.load(run, checkpoint="after")
    assert after.fingerprint == alone.fingerprint
    assert torch.equal(after.encode_texts("a red square"), alone.encode_texts("a red square"))
    assert torch.equal(model.at("before").at("result").encode_texts("a red square"), model.encode_texts("a red square"))


def test_extract_is_what_the_command_does(run: str, tmp_path: Path, capsys: Capture) -> None:
    place = ["--input", "target", "--medium", "text", "--quiet", "--json"]
    assert main(["extract", "--run", run, *place, "-o", str(tmp_path / "typed")]) == 0
    model = dckt_core.load(run)
    done = dckt_core.extract("target", tmp_path / "called", by=model, medium="text")
    assert json.loads(capsys.readouterr().out)["key"] == done.header.key
    ids, rows = next(done.shards())
    texts = {pair.id: pair.text for pair in model.target().pairs}
    assert torch.equal(rows, model.encode_texts([texts[key] for key in ids]))
    with pytest.raises(dckt_core.UsageError, match="go with an encoder's name"):
        dckt_core.extract("target", tmp_path / "other", by=model, options={"size": 32}, medium="text")
    by_name = dckt_core.extract("target", tmp_path / "named", by="vgg19", options={"weights": "none", "size": 32})
    assert by_name.medium == "image"
