"""Training with what strangers wrote: a good distribution all the way, misbehaving ones up to a clear error."""

import csv
import json
import re
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image

from dckt_cli.main import main
from dckt_core import load
from tests.support.commands import BROKEN, Dckt
from tests.support.tolerance import SMALL, approx

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 210)}
QUICK = {
    "network.media_width": 16,
    "network.common_width": 16,
    "encode_batch": 8,  # the twelve different squares take an encoder two calls
    "pretrain.batch": 6,
    "pretrain.source_updates": 3,
    "pretrain.target_updates": 3,
    "transfer.batch": 6,
    "transfer.iterations": 2,
    "transfer.updates": 2,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of coloured squares and sentences about them."""
    folder = tmp_path_factory.mktemp("squares")
    rows = []
    for split, count in {"train": 4, "val": 2, "test": 2}.items():
        for label, (red, green, blue) in COLOURS.items():
            for number in range(count):
                name = f"{label}-{split}-{number}.png"
                Image.new("RGB", (12, 12), (red + number, green, blue)).save(folder / name)
                rows.append({"image": name, "text": f"a {label} square", "label": label, "split": split})
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def arguments(data: Path, **plugins: str) -> list[str]:
    """A training of a few steps: `discrepancy="nan"` chooses a plugin."""
    plugins = {"encoder": "thumbnail"} | plugins
    chosen = [word for role, name in plugins.items() for word in (f"--{role}", name)]
    values = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]
    return [
        "train",
        "--preset",
        "paper",
        "--source",
        str(data),
        "--target",
        str(data),
        *chosen,
        *values,
        "--device",
        "cpu",
        "--quiet",
    ]


@pytest.fixture
def home(distributions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder in which this process sees the installed distributions."""
    monkeypatch.syspath_prepend(distributions)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def selections(run: Path) -> list[dict[str, str]]:
    with (run / "selection.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def kept(rows: list[dict[str, str]], iteration: int) -> int:
    marks = [row["kept"] for row in rows if row["iteration"] == str(iteration)]
    assert set(marks) <= {"0", "1"}
    return marks.count("1")


def test_a_strangers_encoder_discrepancy_and_sampler_train(
    dckt: Dckt, data: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {"encoder": "thumbnail", "discrepancy": "mean-distance", "sampler": "growing-share"}
    options = ["--encoder-opt", "side=4", "--discrepancy-opt", "power=1", "--sampler-opt", "first=0.5"]
    done = dckt(*arguments(data, **chosen), *options, "--name", "mine", "--json", load=["dckt-stranger"], cwd=home)
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout)["test"]["map"]["after"]["mean"]["value"] <= 1

    run = home / "runs" / "mine"
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["encoder"] == {"name": "dckt-stranger:thumbnail", "side": 4, "dim": 32, "trainable": True}
    assert config["discrepancy"] == {"name": "dckt-stranger:mean-distance", "power": 1.0}
    assert config["sampler"] == {"name": "dckt-stranger:growing-share", "first": 0.5}
    rows = selections(run)
    assert [kept(rows, iteration) for iteration in (1, 2)] == [6, 12]
    assert sorted(float(row["rank"]) for row in rows if row["iteration"] == "1") == list(range(12))

    monkeypatch.setenv("DCKT_LOAD_PLUGINS", "dckt-stranger")
    assert main(["evaluate", str(run)]) == 0
    monkeypatch.setenv("DCKT_LOAD_PLUGINS", "")
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 2
    assert "unknown encoder 'dckt-stranger:thumbnail'" in capsys.readouterr().err


ALONE = ["--part", "target-network=0", "--encoder-opt", "trainable=false", "--text-encoder", "mean-vectors"]
"""The part that is asked for besides is all that the common space has, and encoders are frozen, as it needs them."""


def test_a_strangers_part_trains_and_is_read_back(
    data: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DCKT_LOAD_PLUGINS", "dckt-stranger")
    options = [*ALONE, "--part", "prototypes=0.5", "--part-opt", "prototypes.sharpness=20", "--name", "mine"]
    assert main([*arguments(data), *options]) == 0
    run = home / "runs" / "mine"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["space"]["weights"] == {"prototypes": 0.5}
    assert summary["space"]["notes"] == [["prototypes", "3 classes by their means"]]
    table = tomllib.loads((run / "config.toml").read_text())["space"]["parts"]["prototypes"]
    assert table == {"weight": 0.5, "earn": False, "among": [], "sharpness": 20.0}

    model = load(run)
    pairs = model.target().split("test")
    rows = model.image_probabilities([pair.image for pair in pairs])
    assert rows.shape == (6, 3)
    assert torch.equal(model.encode_images([pair.image for pair in pairs]), rows)
    assert model.predict_images([pair.image for pair in pairs]) == [model.classes[best] for best in rows.argmax(dim=1)]
    capsys.readouterr()
    assert main(["evaluate", str(run), "--json"]) == 0
    again, first = json.loads(capsys.readouterr().out), summary["test"]["map"]["space"]
    assert again["tasks"]["mean"]["map"] == approx(first["mean"]["value"], terms=SMALL)
    monkeypatch.setenv("DCKT_LOAD_PLUGINS", "")
    assert main(["evaluate", str(run)]) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-part", ": build must return a part, and NoneType has no method fit"),
        ("fails-to-fit", " raised AttributeError: 'Known' object has no attribute 'image'"),
        ("two-widths", ": its rows of images and of texts have different widths"),
        ("not-finite", ": its rows of images are not all finite"),
        ("keeps-numbers", ": state_dict must hold tensors by name and nothing else"),
    ],
)
def test_a_misbehaving_part_ends_the_run_with_its_name(
    name: str, said: str, data: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DCKT_LOAD_PLUGINS", "dckt-misbehaving,dckt-stranger")
    assert main([*arguments(data), *ALONE, "--part", name, "--name", "bad"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    found = re.sub(r" \(\S+\.py:\d+; dckt --debug shows the traceback\)$", "", captured.err.splitlines()[-1])
    assert found == f"dckt: error: part '{name}' of dckt-misbehaving 1.0{said}"
    assert not (home / "runs" / "bad").exists(), "a failed run blocks the next of its name"


@pytest.mark.parametrize(
    ("plugins", "code", "said"),
    [
        ({"discrepancy": "no-gradient"}, 1, "discrepancy 'no-gradient' of dckt-misbehaving 1.0: the value at "),
        ({"discrepancy": "exits"}, 1, "discrepancy 'exits' of dckt-misbehaving 1.0 raised SystemExit: a plugin has no"),
        ({"discrepancy": "nan"}, 4, "is nan, which discrepancy 'nan' of dckt-misbehaving 1.0 gave"),
        ({"sampler": "out-of-range"}, 1, "sampler 'out-of-range' of dckt-misbehaving 1.0: target rows are out of"),
        ({"encoder": "no-encoder"}, 1, "encoder 'no-encoder' of dckt-misbehaving 1.0: build must return an Encoder"),
        ({"encoder": "shape-shifter"}, 1, "encoder 'shape-shifter' of dckt-misbehaving 1.0: its module gave "),
    ],
)
def test_a_misbehaving_plugin_ends_the_run_with_its_name(
    plugins: dict[str, str],
    code: int,
    said: str,
    data: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DCKT_LOAD_PLUGINS", "dckt-misbehaving,dckt-stranger")
    assert main([*arguments(data, **plugins), "--name", "bad"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.splitlines()[-1]
    assert last.startswith("dckt: error: ")
    assert said in last
    assert not (home / "runs" / "bad").exists(), "a failed run blocks the next of its name"


@pytest.mark.parametrize(
    ("role", "distribution"),
    [
        ("encoder", "dckt-broken-import"),
        ("encoder", "dckt-broken-exit"),
        ("encoder", "dckt-wrong-signature"),
        ("encoder", "dckt-misspelled-hook"),
        ("encoder", "dckt-unmarked-hook"),
        ("sampler", "dckt-raising-hook"),
        ("discrepancy", "dckt-nonsense-hook"),
    ],
)
def test_training_with_what_is_left_out_says_why_once(
    role: str,
    distribution: str,
    data: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DCKT_LOAD_PLUGINS", f"{distribution},dckt-stranger")
    assert main([*arguments(data, **{role: f"{distribution}:anything"}), "--name", "bad"]) == 1
    err = capsys.readouterr().err
    last = err.splitlines()[-1]
    assert last.startswith(f"dckt: error: unknown {role} '{distribution}:anything': plugin '")
    assert last.endswith(f" of {distribution} 1.0 is left out, as said above")
    assert err.count(BROKEN[distribution]) <= 1, "pytest may have the warning instead"
    assert not (home / "runs" / "bad").exists()


def test_training_goes_on_beside_everything_that_is_broken(
    data: Path, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("DCKT_LOAD_PLUGINS", raising=False)
    assert main([*arguments(data, discrepancy="coral", sampler="all"), "--name", "mine"]) == 0
    for distribution in BROKEN:
        assert len([line for line in caplog.messages if f" of {distribution} 1.0 is left out: " in line]) == 1
    config = tomllib.loads((home / "runs" / "mine" / "config.toml").read_text())
    assert config["encoder"]["name"] == "dckt-stranger:thumbnail"
    assert (config["discrepancy"]["name"], config["sampler"]["name"]) == ("coral", "all")
    assert kept(selections(home / "runs" / "mine"), 1) == 12


def test_a_clashing_name_is_trained_with_by_its_distribution(
    data: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCKT_LOAD_PLUGINS", "dckt-clash,dckt-stranger,dckt-twin-a,dckt-twin-b")
    chosen = {"sampler": "dckt-clash:all", "discrepancy": "dckt-twin-b:twin"}
    assert main([*arguments(data, **chosen), "--name", "a"]) == 0
    config = tomllib.loads((home / "runs" / "a" / "config.toml").read_text())
    assert (config["sampler"]["name"], config["discrepancy"]["name"]) == ("dckt-clash:all", "dckt-twin-b:twin")
    assert kept(selections(home / "runs" / "a"), 1) == 1
