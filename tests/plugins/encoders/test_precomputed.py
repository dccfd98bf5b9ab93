from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat
from scipy.sparse import csr_matrix

from dckt_cli.main import main
from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import ImageItem, TextItem
from dckt_core.data.features import compute_features
from tests.support.tolerance import SMALL, approx

IDS = ["one", "zwei", "三"]
ROWS = np.arange(12, dtype=np.float64).reshape(3, 4) / 8  # exact in every type


def item(pair_id, role="target"):
    return ImageItem(pair_id, Path("never opened"), role)


def features(encoder, *ids, role="target"):
    return compute_features(encoder, [item(n, role) for n in ids], device=torch.device("cpu"), batch=2)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def cells(texts):
    """MATLAB's cell array of texts."""
    array = np.empty((len(texts), 1), dtype=object)
    array[:, 0] = texts
    return array


def write_npz(path):
    np.savez(path, features=ROWS.astype(np.float32), ids=np.array(IDS))


def write_npz_of_halves(path):
    np.savez_compressed(path, x=ROWS.astype(np.float16), ids=np.array(IDS))


def write_npz_row_by_row(path):
    np.savez(path, **dict(zip(IDS, ROWS, strict=True)))


def write_safetensors_row_by_row(path):
    save_file({name: torch.tensor(row) for name, row in zip(IDS, ROWS, strict=True)}, path)


def write_mat_with_cells(path):
    savemat(path, {"X": ROWS, "ids": cells(IDS)})


def write_mat_of_a_sparse_matrix(path):
    savemat(path, {"X": csr_matrix(ROWS), "ids": cells(IDS)})


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("f.npz", write_npz),
        ("f.npz", write_npz_of_halves),
        ("f.npz", write_npz_row_by_row),
        ("f.safetensors", write_safetensors_row_by_row),
        ("f.mat", write_mat_with_cells),
        ("f.mat", write_mat_of_a_sparse_matrix),
    ],
)
@pytest.mark.parametrize("modality", ["image", "text"])
def test_a_file_that_names_its_rows(build, tmp_path, name, write, modality):
    write(tmp_path / name)
    encoder = build(f"precomputed-{modality}", target=str(tmp_path / name))
    items = [(item(n) if modality == "image" else TextItem(n, "unread", "target")) for n in (IDS[2], IDS[0], IDS[2])]
    rows = compute_features(encoder, items, device=torch.device("cpu"), batch=2)
    assert torch.equal(rows, torch.tensor(ROWS[[2, 0, 2]], dtype=torch.float32))
    assert (encoder.dim, encoder.trainable, encoder.cached) == (4, False, False)
    assert encoder.prepare([]).shape == (0, 4)


def write_npy(path):
    np.save(path, ROWS)


def write_bfloat16(path):
    save_file({"f": torch.tensor(ROWS, dtype=torch.bfloat16)}, path)


def write_whole_numbers(path):
    np.savez(path, f=(ROWS * 8).astype(np.uint8))


def write_mat(path):
    savemat(path, {"f": ROWS})


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("f.npy", write_npy),
        ("f.safetensors", write_bfloat16),
        ("f.npz", write_whole_numbers),
        ("f.mat", write_mat),
    ],
)
def test_ids_in_a_text_file(build, tmp_path, name, write):
    write(tmp_path / name)
    (tmp_path / "ids.txt").write_text("\ufeff" + "\r\n".join(IDS) + "\r\n", encoding="utf-8")
    encoder = build("precomputed-image", target=str(tmp_path / name), target_ids=str(tmp_path / "ids.txt"))
    scale = 8 if write is write_whole_numbers else 1
    assert torch.equal(features(encoder, "zwei", "one"), torch.tensor(ROWS[[1, 0]] * scale, dtype=torch.float32))


def manifest(folder, count=3):
    folder.mkdir()
    lines = []
    for number in range(count):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / f"{number}.png")
        lines.append({"image": f"{number}.png", "text": f"text {number}", "label": "a", "split": "train"})
    lines[1]["id"] = "second"
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return str(folder / "pairs.jsonl")


def test_rows_in_the_order_of_the_manifest(build, tmp_path):
    np.save(tmp_path / "f.npy", ROWS)
    pairs = manifest(tmp_path / "set")
    encoder = build("precomputed-image", target=str(tmp_path / "f.npy"), target_ids=pairs)
    assert torch.equal(features(encoder, "second", "0.png"), torch.tensor(ROWS[[1, 0]], dtype=torch.float32))


def test_arrays_by_name_and_one_after_the_other(build, tmp_path):
    file = npz(tmp_path / "f.npz", train=ROWS[:2], test=ROWS[2:], labels=np.ones((3, 1)))
    (tmp_path / "ids").write_text("\n".join(IDS))
    encoder = build("precomputed-image", target=file, target_ids=str(tmp_path / "ids"), key="train, test")
    assert torch.equal(features(encoder, *IDS), torch.tensor(ROWS, dtype=torch.float32))


def test_source_and_target_may_have_pairs_of_one_id(build, tmp_path):
    target, source = (npz(tmp_path / f"{n}.npz", f=ROWS + n, ids=np.array(IDS)) for n in (0, 1))
    encoder = build("precomputed-image", target=target, source=source)
    assert torch.equal(features(encoder, "one", role="source"), features(encoder, "one") + 1)


def test_ids_may_be_numbers(build, tmp_path):
    encoder = build("precomputed-image", target=npz(tmp_path / "f.npz", f=ROWS, ids=np.array([7, 8, 9])))
    assert torch.equal(features(encoder, "8")[0], torch.tensor(ROWS[1], dtype=torch.float32))


def test_fingerprints_name_the_content(build, tmp_path):
    first = npz(tmp_path / "a.npz", f=ROWS, ids=np.array(IDS))
    (tmp_path / "moved.npz").write_bytes(Path(first).read_bytes())
    other = npz(tmp_path / "b.npz", f=ROWS + 1, ids=np.array(IDS))
    (tmp_path / "ids.txt").write_text("\n".join(IDS))
    prints = [
        build("precomputed-image", **options).fingerprint
        for options in (
            {"target": first},
            {"target": other},
            {"target": first, "source": first},
            {"target": first, "target_ids": str(tmp_path / "ids.txt")},
        )
    ]
    assert len(set(prints)) == len(prints)
    assert build("precomputed-image", target=str(tmp_path / "moved.npz")).fingerprint == prints[0]
    assert build("precomputed-text", target=first).fingerprint not in prints


def bad(path, **arrays):
    """Arrays beside good ids."""
    return npz(path, **arrays, ids=np.array(IDS))


def with_nan():
    rows = ROWS.copy()
    rows[1, 2] = np.nan
    return rows


@pytest.mark.parametrize(
    ("arrays", "key", "says"),
    [
        ({"f": ROWS[:2]}, None, r"2 rows for 3 ids \(array 'ids'\)$"),
        ({"f": with_nan()}, None, "the features of 'zwei' are not finite numbers$"),
        ({"f": ROWS * 1e300}, None, r"the features of 'one' \(and of 2 more of 3\) are not finite numbers$"),
        ({"f": np.zeros((3, 2, 2))}, None, r"which array holds the features\? say key=NAME \(it has 'f' \[3, 2, 2\]"),
        ({"f": np.zeros((3, 2, 2))}, "f", r"array 'f' is of shape \(3, 2, 2\), not a row of values for each item$"),
        ({"f": np.zeros((3, 0))}, None, r"array 'f' is of shape \(3, 0\)"),
        (
            {"f": ROWS, "g": ROWS},
            None,
            r"which .* key=NAME \(it has 'f' \[3, 4\], 'g' \[3, 4\], 'ids' \[3\]\)$",
        ),
        ({"f": ROWS}, "h", r"no array 'h' \(it has 'f' \[3, 4\], 'ids' \[3\]\)$"),
        ({"f": ROWS}, "ids", "array 'ids' is of type <U4, not of numbers$"),
        ({"f": ROWS.astype(complex)}, "f", "array 'f' is of type complex128, not of numbers$"),
        ({"f": ROWS[:2], "g": ROWS[2:, :3]}, "f,g", r"the rows of 'f' \[2, 4\], 'g' \[1, 3\] differ in width$"),
    ],
)
def test_arrays_that_do_not_do(build, tmp_path, arrays, key, says):
    file = bad(tmp_path / "f.npz", **arrays)
    with pytest.raises(DataError, match=f"^{file}: {says}"):
        build("precomputed-image", target=file, key=key)


def test_ids_that_do_not_do(build, tmp_path):
    (tmp_path / "short.txt").write_text("one\nzwei\n")
    (tmp_path / "hole.txt").write_text("one\n\nzwei\n")
    np.save(tmp_path / "f.npy", ROWS)
    file = str(tmp_path / "f.npy")
    for ids, says in (
        ("short.txt", r"f.npy: 3 rows for 2 ids \(.*short.txt\)$"),
        ("hole.txt", r"hole.txt:2: an empty line"),
        ("absent.txt", "absent.txt: cannot be read: No such file"),
        ("absent.jsonl", "absent.jsonl: cannot be read: No such file"),
    ):
        with pytest.raises(DataError, match=says):
            build("precomputed-image", target=file, target_ids=str(tmp_path / ids))
    with pytest.raises(DataError, match=r"does not say whose its 3 rows are; .* --encoder-opt target_ids=FILE$"):
        build("precomputed-image", target=file)
    with pytest.raises(DataError, match=r"; name them with --text-encoder-opt target_ids=FILE$"):
        build("precomputed-text", target=file)
    twice = npz(tmp_path / "twice.npz", f=ROWS, ids=np.array(["a", "b", "a"]))
    with pytest.raises(DataError, match="twice.npz: id 'a' names more than one row$"):
        build("precomputed-image", target=twice)
    odd = npz(tmp_path / "odd.npz", f=ROWS, ids=np.array([1.5, 2, 3]))
    with pytest.raises(DataError, match="array 'ids' holds something else than texts and whole numbers"):
        build("precomputed-image", target=odd)


def test_files_that_do_not_do(build, tmp_path):
    (tmp_path / "f.csv").write_text("1,2")
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 nothing")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    (tmp_path / "broken.mat").write_bytes(b"nothing")
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(100))
    (tmp_path / "f.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for name, says in (
        ("absent.npz", "no such file of features"),
        ("f.csv", r"features are read from .npy, .npz, .parquet, .safetensors, .mat, .hdf5 files, and this is none"),
        (
            "f.h5",
            r"(not a whole file of features: |HDF5 needs h5py, which is not installed: pip install 'dckt\[hdf5\]')",
        ),
        ("broken.npz", "not a whole file of features: "),
        ("broken.safetensors", "features are read from .* files, and this is none of them by its first bytes$"),
        ("broken.mat", "not a whole file of features: "),
        ("new.mat", "not a whole file of features: it is of MATLAB's version 7.3; save it with -v7"),
    ):
        with pytest.raises(DataError, match=f"^{tmp_path / name}: {says}"):
            build("precomputed-image", target=str(tmp_path / name))


class Harm:
    """Unpickled, it leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["f.npz", "f.npy"])
def test_nothing_in_a_file_runs(build, tmp_path, name):
    objects = np.array([[Harm(tmp_path / "ran")]], dtype=object)
    if name == "f.npz":
        np.savez(tmp_path / name, f=objects, ids=np.array(["a"]))
    else:
        np.save(tmp_path / name, objects, allow_pickle=True)
    with pytest.raises(DataError, match="it holds Python objects, which may run code when loaded"):
        build("precomputed-image", target=str(tmp_path / name))
    assert not (tmp_path / "ran").exists()


def test_pairs_that_are_not_there(build, tmp_path):
    encoder = build("precomputed-image", target=npz(tmp_path / "f.npz", f=ROWS, ids=np.array(IDS)))
    with pytest.raises(DataError, match=r"npz: no features of 1 of 2 items: 'five' \(it has 3 ids, .* 'one'\)$"):
        features(encoder, "one", "five")
    with pytest.raises(UsageError, match="has no features of the source: --encoder-opt source=FILE$"):
        features(encoder, "one", role="source")
    with pytest.raises(UsageError, match="'precomputed-image' knows the pairs of a run's source and target alone"):
        features(encoder, "one", role=None)
    with pytest.raises(UsageError, match="^encoder 'precomputed-text' needs --text-encoder-opt target=FILE"):
        build("precomputed-text")


def test_widths_must_agree(build, tmp_path):
    target = npz(tmp_path / "t.npz", f=ROWS, ids=np.array(IDS))
    source = npz(tmp_path / "s.npz", f=ROWS[:, :3], ids=np.array(IDS))
    with pytest.raises(DataError, match=r"s.npz: rows of 3 values, and .*t.npz has 4$"):
        build("precomputed-image", target=target, source=source)


SETTINGS = {
    "network.media_width": 16,
    "network.common_width": 16,
    "pretrain.batch": 8,
    "pretrain.source_updates": 10,
    "pretrain.target_updates": 40,
    "transfer.batch": 8,
    "transfer.iterations": 2,
    "transfer.updates": 5,
}


def data_set(folder, classes, sign):
    """Pairs of one grey picture and no word, told apart by their features alone; ids are the same in every set."""
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(folder / "grey.png")
    rng, lines, labels = np.random.default_rng(0), [], []
    for split, count in {"train": 8, "val": 4, "test": 6}.items():
        for label in range(classes):
            for _ in range(count):
                line = {"image": "grey.png", "text": "-", "label": str(label), "split": split, "id": f"p{len(lines)}"}
                lines.append(line)
                labels.append(label)
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    for medium, dim in (("image", 6), ("text", 5)):
        rows = rng.normal(size=(len(lines), dim)) + sign * 4 * np.eye(dim)[np.array(labels)]
        np.save(folder / f"{medium}.npy", rows)


def test_a_run_on_features_alone(tmp_path, monkeypatch, capsys):
    data_set(tmp_path / "source", 3, -1)
    data_set(tmp_path / "target", 2, 1)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    flags = ["--preset", "paper", "--source", "source", "--target", "target", "--name", "run"]
    flags += ["--device", "cpu", "--quiet"]
    flags += ["--encoder", "precomputed-image", "--text-encoder", "precomputed-text"]
    for option, medium in (("--encoder-opt", "image"), ("--text-encoder-opt", "text")):
        for role in ("source", "target"):
            flags += [option, f"{role}={role}/{medium}.npy", option, f"{role}_ids={role}/pairs.jsonl"]
    flags += [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    assert main(["train", *flags]) == 0
    assert not (tmp_path / "cache" / "features").exists()
    capsys.readouterr()
    assert main(["evaluate", "runs/run", "--quiet", "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    trained = json.loads((tmp_path / "runs" / "run" / "summary.json").read_text())
    after = trained["test"]["map"]["after"]["mean"]["value"]
    assert scored["tasks"]["mean"]["map"] == approx(after, terms=SMALL)
    assert after > 0.75  # a half by chance
    assert main(["search", "runs/run", "--text", "p0"]) == 2
    assert "so no query from elsewhere" in capsys.readouterr().err

    np.save("target/image.npy", np.load("target/image.npy") + 1)
    assert main(["evaluate", "runs/run"]) == 3
    assert "target/image.npy: holds other features than when the run began" in capsys.readouterr().err


@pytest.mark.parametrize("modality", ["image", "text"])
def test_rows_that_come_without_a_file(build, modality):
    encoder = build(f"precomputed-{modality}", dim=3)
    assert encoder.dim == 3
    assert encoder.fingerprint != build(f"precomputed-{modality}", dim=4).fingerprint
    with pytest.raises(UsageError, match=f"takes no {modality}s: give rows of 3 values"):
        features(encoder, "one")
    with pytest.raises(UsageError, match="dim=N is for rows without a file"):
        build(f"precomputed-{modality}", dim=3, target="rows.npz")
