"""Files from strangers: reading one runs nothing of theirs, and what cannot be used is named in one clear line."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dckt_cli.main import main
from dckt_core.base.errors import DataError
from dckt_core.data.feature_cache import read_segment
from dckt_core.engine.snapshot import load_snapshot
from dckt_core.io.tensors import WEIGHTS, WEIGHTS_FORMAT, load_weights, save_tensors, save_weights
from dckt_core.runs.seal import seal_run
from dckt_plugins.encoders.vector_files import read_vectors
from dckt_plugins.encoders.weights import fitting, read_weights
from tests.support import tiny
from tests.support.headers import bad_headers, file_of, tensor
from tests.support.needs import part
from tests.support.pickles import MALICIOUS, obey
from tests.support.tolerance import SMALL, approx

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


def checkpoint(path: Path) -> None:
    load_weights(path, tiny.linear(4, 1))


READERS: dict[str, Callable[[Path], object]] = {
    "weights": read_weights,
    "vectors": lambda path: read_vectors(path, {"dog"}),
    "checkpoint": checkpoint,
    "snapshot": load_snapshot,
    "features": lambda path: read_segment(path, 2),
}
SUFFIXES = (
    ".pt",
    ".pth",
    ".bin",
    ".ckpt",
    ".pkl",
    ".safetensors",
    ".kv",
    ".model",
    ".npy",
    ".txt",
    ".gz",
    ".txt.gz",
    "",
)


def refused(read: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    return said


# --- pickles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MALICIOUS)
def test_obeyed_it_leaves_its_marker(tmp_path: Path, kind: str) -> None:
    """The control: each of these files is a danger."""
    marker = tmp_path / "marker"
    obey(MALICIOUS[kind](marker))
    assert marker.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")  # torch's, and true
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", MALICIOUS)
def test_a_malicious_file_of_any_name_leaves_no_trace(
    tmp_path: Path,
    kind: str,
    reader: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("faults", len(SUFFIXES))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # asks torch to be careless where nothing else is said
    marker = tmp_path / "marker"
    content = MALICIOUS[kind](marker)
    for suffix in SUFFIXES:
        path = tmp_path / f"stranger{suffix}"
        path.write_bytes(content)
        refused(READERS[reader], path)
        assert not marker.exists()


ENCODERS = [
    ("vgg19", "--encoder", "weights"),
    ("torchvision", "--encoder", "weights"),
    ("timm", "--encoder", "weights"),
    ("open-clip", "--encoder", "weights"),
    ("wordcnn", "--text-encoder", "vectors"),
]


@pytest.mark.parametrize(("encoder", "flag", "option"), ENCODERS)
def test_every_encoder_that_takes_a_file_refuses_it(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    encoder: str,
    flag: str,
    option: str,
) -> None:
    if encoder in ("timm", "open-clip"):
        part(encoder.replace("-", "_"))
    monkeypatch.chdir(trained)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    assert main(["plugins", "show", encoder]) == 0
    capsys.readouterr()
    path = tmp_path / "stranger.pth"
    path.write_bytes(MALICIOUS["torch"](tmp_path / "marker"))
    chosen = [flag, encoder, f"{flag}-opt", f"{option}={path}"]
    rest = [] if flag == "--encoder" else ["--encoder-opt", "weights=none", "--encoder-opt", "size=32"]
    code = main(
        [
            "train",
            "--preset",
            "paper",
            "--source",
            "source",
            "--target",
            "target",
            "--quiet",
            "--device",
            "cpu",
            *chosen,
            *rest,
        ]
    )
    line = capsys.readouterr().err.splitlines()[-1]
    assert (code, line.startswith("dckt: error:"), str(path) in line) == (3, True, True), line
    assert not (tmp_path / "marker").exists()


def test_no_code_that_unpickles() -> None:
    """What the source may not call: loaders that run what they read."""
    forbidden = {"pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "marshal.load", "shelve.open"}
    forbidden |= {"joblib.load", "dill.load", "dill.loads", "yaml.load", "eval", "exec", "KeyedVectors.load"}
    forbidden |= {"Word2Vec.load", "os.system", "torch.jit.load", "torch.hub.load"}
    calls = []
    for package in ("dckt_core", "dckt_kernels", "plugins", "cli"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    calls.append((file, ast.unparse(node.func), {word.arg: word.value for word in node.keywords}))
    assert [call for call in calls if call[1] in forbidden] == []
    loads = [words for _, name, words in calls if name == "torch.load"]
    assert loads, "the check sees the calls there are"
    assert all(ast.unparse(words["weights_only"]) == "True" for words in loads)
    for _, _, words in calls:
        for careless in ("allow_pickle", "shell", "trust_remote_code"):
            assert careless not in words or ast.unparse(words[careless]) == "False"


# --- safetensors ----------------------------------------------------------------------------------------------

SAFETENSORS = {name: READERS[name] for name in ("weights", "checkpoint", "snapshot", "features")}


@pytest.mark.parametrize("reader", SAFETENSORS)
@pytest.mark.parametrize("case", bad_headers())
def test_a_broken_header_is_one_clear_line(tmp_path: Path, case: str, reader: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(bad_headers()[case])
    refused(SAFETENSORS[reader], path)


def test_the_hand_written_file_can_be_good(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(file_of({"features": tensor(0, 16), "other": tensor(16, 32)}, bytes(32)))
    assert {name: value.tolist() for name, value in read_weights(path).items()} == {
        "features": [0.0] * 4,
        "other": [0.0] * 4,
    }


# --- tensors of something else ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weight": torch.zeros(1, 5)}, "'weight' has shape (1, 5), not (1, 4)"),
        ({"weight": torch.zeros(4)}, "'weight' has shape (4,), not (1, 4)"),
        ({"weight": None}, "it lacks tensor 'weight'"),
        ({"fc8.weight": torch.zeros(1)}, "it has an unknown tensor 'fc8.weight'"),
        ({"weight": torch.full((1, 4), torch.nan)}, "'weight' holds numbers that are not finite"),
        ({"bias": torch.tensor([-torch.inf])}, "'bias' holds numbers that are not finite"),
        ({"weight": torch.zeros(1, 4, dtype=torch.float64)}, "'weight' holds torch.float64, not torch.float32"),
        ({"weight": torch.zeros(1, 4, dtype=torch.int32)}, "'weight' holds torch.int32, not torch.float32"),
    ],
)
def test_weights_of_another_network(tmp_path: Path, change: dict[str, torch.Tensor | None], says: str) -> None:
    path = tmp_path / "x.safetensors"
    save_weights(path, tiny.linear(4, 1))
    load_weights(path, tiny.linear(4, 1))
    tensors = {name: value for name, value in (load_file(path) | change).items() if value is not None}
    save_tensors(path, tensors, kind=WEIGHTS, format=WEIGHTS_FORMAT)
    assert says in refused(checkpoint, path)
    wanted = tiny.linear(4, 1).state_dict()
    if "fc8.weight" not in change and not says.endswith("float32"):
        with pytest.raises(DataError, match="is missing|, not|not finite"):
            fitting(read_weights(path), wanted, named="x", network="tiny")


# --- run folders ------------------------------------------------------------------------------------------------


@pytest.fixture
def stranger(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run somewhere else, with the target data beside it and nothing else."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    shutil.copytree(trained / "target", "data")
    return Path(shutil.copytree(trained / "runs/squares", "model"))


def evaluate(model: Path, capsys: Capture, *more: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(["evaluate", str(model), "--target", "data", "--json", "--quiet", *more])
    told = capsys.readouterr()
    return code, told.out if code == 0 else told.err.splitlines()[-1]


def test_a_model_moved_elsewhere_works(stranger: Path, trained: Path, capsys: Capture) -> None:
    code, said = evaluate(stranger, capsys)
    assert code == 0, said
    told = json.loads((trained / "runs/squares/summary.json").read_text())
    expected = told["test"]["map"]["after"]["mean"]["value"]
    assert json.loads(said)["tasks"]["mean"]["map"] == approx(expected, terms=SMALL)
    assert main(["search", str(stranger), "--target", "data", "--text", "a red square", "--quiet"]) == 0
    for file in stranger.rglob("*"):
        if file.is_file() and file.name != "log.jsonl":  # the log says where the cache was
            assert str(trained).encode() not in file.read_bytes(), f"{file} holds an absolute path"


def test_weights_of_an_encoder_that_were_moved_are_found_again(
    train: Callable[..., int], tmp_path: Path, capsys: Capture
) -> None:
    from torchvision.models import vgg19

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in vgg19(init_weights=False).features.state_dict().items()}
    means = {f"features.{name}": torch.full(shape, 1 / shape[1:].numel()) for name, shape in shapes.items()}
    save_file(means, tmp_path / "here.safetensors")
    flags = ("--quiet", "--encoder-opt", f"weights={tmp_path / 'here.safetensors'}")
    assert train(*flags) == 0
    (tmp_path / "here.safetensors").rename(tmp_path / "there.safetensors")
    capsys.readouterr()
    assert main(["evaluate", "runs/a", "--quiet"]) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert "here.safetensors: no such file" in line
    assert "as runs/a/config.toml has it; change it there if it was moved, then: dckt verify --accept runs/a" in line
    config = Path("runs/a/config.toml")
    config.write_text(config.read_text().replace("here.safetensors", "there.safetensors"))
    assert main(["evaluate", "runs/a", "--quiet"]) == 3
    assert "config.toml: altered since it was written" in capsys.readouterr().err
    assert main(["verify", "--accept", "runs/a"]) == 0
    assert main(["evaluate", "runs/a", "--quiet"]) == 0


@pytest.mark.parametrize("kind", ["pickle protocol 2", "torch", "numpy"])
@pytest.mark.parametrize(
    "file", ["checkpoints/after.safetensors", "checkpoints/text_encoder.safetensors", "model.json", "config.toml"]
)
def test_a_malicious_file_in_a_model_leaves_no_trace(
    stranger: Path, tmp_path: Path, capsys: Capture, file: str, kind: str
) -> None:
    (stranger / file).write_bytes(MALICIOUS[kind](tmp_path / "marker"))
    for name in ("pytorch_model.bin", "checkpoints/after.pth", "checkpoints/after.pt", "sampler.pkl"):
        (stranger / name).write_bytes(MALICIOUS[kind](tmp_path / "marker"))
    seal_run(stranger)
    code, said = evaluate(stranger, capsys)
    if (stranger / file).name != "text_encoder.safetensors":  # the word CNN trains, so its weights are in the network
        assert code in (2, 3)
        assert said.startswith("dckt: error: ")
        assert "did not expect" not in said
        assert Path(file).name in said
    assert not (tmp_path / "marker").exists()


def swap_networks(run: Path) -> None:
    shutil.copy(run / "checkpoints/source.safetensors", run / "checkpoints/after.safetensors")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda run: (run / "checkpoints/after.safetensors").unlink(),
            "after.safetensors: none of the files that were written with the others",
        ),
        (lambda run: (run / "model.json").unlink(), "model.json: none of the files"),
        (lambda run: (run / "model.json").write_text("{}"), "model.json: not the description of a model"),
        (lambda run: (run / "model.json").write_text('{"format": 2}'), "format 2, and this dckt reads 1"),
        (lambda run: (run / "model.json").write_text('{"format": 1}'), "model.json: not the description of a model"),
        (lambda run: (run / "config.toml").unlink(), "config.toml"),
        (lambda run: (run / "config.toml").write_bytes(b"\xff\xfe"), "config.toml"),
        (lambda run: (run / "config.toml").write_text("preset = 'paper'"), "config.toml: configuration key"),
        (swap_networks, "after.safetensors: weights of another network"),
    ],
)
def test_a_model_with_something_wrong_is_one_clear_line(
    stranger: Path, capsys: Capture, spoil: Callable[[Path], object], says: str
) -> None:
    spoil(stranger)
    seal_run(stranger)  # whoever writes a file can vouch for it
    code, said = evaluate(stranger, capsys)
    assert code in (2, 3), said
    assert said.startswith("dckt: error: ")
    assert "did not expect" not in said
    assert says in said
