import json
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dckt_core.base.errors import DataError, PluginError
from dckt_core.base.rng import seeded_construction
from dckt_core.contract.pairs import ImageItem, TextItem
from dckt_core.contract.protocols import Encoder, Item
from dckt_core.data.features import cache_key, encode_items, read_features, write_features
from tests.support.spies import Spy
from tests.support.tolerance import assert_same


class Cache:
    """A cache folder, and what was logged about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: list[str] = []

    def encode(self, encoder: Encoder, items: list[Any], **options: Any) -> Tensor:
        fixed = {"device": torch.device("cpu"), "batch": 3, "cache_dir": self.folder, "log": self.log.append}
        return encode_items(encoder, items, **{**fixed, **options})

    def files(self) -> list[Path]:
        return sorted((self.folder / "features").iterdir())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_a_second_run_reads_what_the_first_computed(
    spy: Spy, cache: Cache, pictures: list[ImageItem], colours: Tensor
) -> None:
    first = cache.encode(spy.images(), pictures)
    assert_same(first, colours, terms=3)
    assert spy.forward == [3, 3, 1]
    assert sorted(name for batch in spy.prepared for name in batch) == [item.id for item in pictures]
    second = cache.encode(spy.images(), pictures)
    assert spy.forward == [3, 3, 1]
    assert torch.equal(first, second)
    file = next(file for file in cache.files() if file.suffix == ".safetensors")
    assert cache.log == [
        f"features of 7 images computed and put into the cache ({file})",
        f"features of 7 images read from the cache ({file})",
    ]


def test_texts(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    features = cache.encode(spy.texts(), [*texts, TextItem("odd", "\ud800")])
    assert features.tolist() == [[0, 0], [4, 0], [9, 1], [14, 2], [19, 3], [1, 0]]
    assert spy.prepared == [["text 0", "text 1", "text 2"], ["text 3", "text 4", "odd"]]
    assert "features of 6 texts" in cache.log[0]


def test_features_may_be_trained_on(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    for _ in range(2):
        features = cache.encode(spy.texts(), texts)
        with seeded_construction(0, "a test"):
            layer = nn.Linear(2, 1)
        layer(features).sum().backward()
        assert layer.weight.grad is not None


def test_nothing_to_encode(spy: Spy, cache: Cache) -> None:
    assert cache.encode(spy.texts(), []).shape == (0, 2)
    assert cache.log == []


def test_progress(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    told: list[tuple[int, int, str]] = []
    cache.encode(spy.texts(), texts, progress=lambda *step: told.append(step))
    assert told == [(done, 5, "encoding 5 texts") for done in (0, 3, 5)]


def test_the_key_tells_apart_all_that_features_depend_on(spy: Spy, pictures: list[ImageItem]) -> None:
    def key(encoder: Encoder, items: list[Any]) -> str:
        return cache_key(encoder, items)

    base = key(spy.images(), pictures)
    assert base == key(spy.images(), [ImageItem("other name", item.path) for item in pictures])
    others = {
        key(spy.images(fingerprint="spy-2"), pictures),
        key(spy.images(dim=4), pictures),
        key(spy.images(), pictures[::-1]),
        key(spy.images(), pictures[1:]),
        key(spy.images(), []),
        key(spy.texts(), [TextItem("x", "ab"), TextItem("y", "c")]),
        key(spy.texts(), [TextItem("x", "a"), TextItem("y", "bc")]),
        key(spy.texts(), [TextItem("x", "ab"), TextItem("y", "cd")]),
    }
    pictures[3].path.write_bytes(pictures[2].path.read_bytes())
    others.add(key(spy.images(), pictures))
    assert len(others | {base}) == 10


def test_a_file_that_is_gone_is_named(spy: Spy, cache: Cache, pictures: list[ImageItem]) -> None:
    pictures[4].path.unlink()
    with pytest.raises(DataError, match=r"4\.png: cannot be read: No such file"):
        cache.encode(spy.images(), pictures)


def test_a_broken_picture_is_named_and_leaves_no_file(spy: Spy, cache: Cache, pictures: list[ImageItem]) -> None:
    pictures[4].path.write_bytes(pictures[4].path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"4\.png: cannot be decoded"):
        cache.encode(spy.images(), pictures)
    assert not cache.folder.exists()


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def other_shape(file: Path) -> None:
    write_features(file, load_file(file)["features"][:, :1], Spy().texts())


def other_type(file: Path) -> None:
    save_file({"features": load_file(file)["features"].double()}, file)


def other_name(file: Path) -> None:
    save_file({"rows": load_file(file)["features"]}, file)


def no_checksum(file: Path) -> None:
    save_file(load_file(file), file)


@pytest.mark.parametrize("harm", [flip_a_bit, cut, empty, other_shape, other_type, other_name, no_checksum])
def test_a_broken_cache_file_is_found_and_made_anew(
    spy: Spy, cache: Cache, texts: list[TextItem], harm: Callable[[Path], None]
) -> None:
    features = cache.encode(spy.texts(), texts)
    file = cache.files()[1]
    harm(file)
    assert torch.equal(cache.encode(spy.texts(), texts), features)
    assert cache.log[1].startswith(f"{file}: ")
    assert cache.log[1].endswith("; the features of 5 texts are computed anew")
    assert "\n" not in cache.log[1]
    assert torch.equal(read_features(file, (5, 2)), features)


def test_the_json_beside_says_what_it_is(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    cache.encode(spy.texts(), texts)
    described, stored = cache.files()
    provenance = json.loads(described.read_text())
    assert described.with_suffix(".safetensors") == stored
    assert provenance["encoder"] == "spy-1"
    assert provenance["shape"] == "5x2"
    assert len(provenance["sha256"]) == 64


def test_a_cache_that_cannot_be_written_stops_nobody(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    cache.folder.write_text("a file where the folder should be")
    assert cache.encode(spy.texts(), texts).shape == (5, 2)
    assert cache.log == [f"features of 5 texts computed; the cache {cache.folder} cannot be written: Not a directory"]


def test_a_full_disk_stops_nobody(
    spy: Spy, cache: Cache, texts: list[TextItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("dckt_core.io.tensors.save_file", full)
    assert cache.encode(spy.texts(), texts[:1]).shape == (1, 2)
    assert cache.log[0].startswith("features of 1 text computed; the cache")
    assert cache.log[0].endswith("cannot be written: I/O error: No space left on device")
    assert cache.files() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dim": 4}, r"its module gave \(3, 2\), not \(3, 4\)"),
        ({"module": nn.Identity()}, "its module gave torch.int64, not floating-point numbers"),
        ({"module": nn.Bilinear(1, 1, 1)}, "its module raised TypeError"),
        ({"prepare": lambda items: torch.zeros(2, 2)}, r"prepare gave \(2, 2\) for 3 items, not a row each"),
        ({"prepare": lambda items: [1] * len(items)}, "prepare gave list for 3 items, not a row each"),
        ({"prepare": lambda items: 1 / 0}, "prepare raised ZeroDivisionError: division by zero"),
    ],
)
def test_an_encoder_that_breaks_the_contract_is_named(
    spy: Spy, cache: Cache, texts: list[TextItem], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PluginError, match=f"^encoder 'spy-1': {reason}"):
        cache.encode(spy.texts(**changes), texts)
    assert not cache.folder.exists()
    plugin = "encoder 'spy' of some-plugin 1.0"
    with pytest.raises(PluginError, match=f"^{plugin}: {reason}"):
        cache.encode(spy.texts(**changes, plugin=plugin), texts)


def test_features_that_are_not_to_be_cached_are_computed_each_time(
    spy: Spy, cache: Cache, texts: list[TextItem]
) -> None:
    encoder = spy.texts(cached=False)
    assert torch.equal(cache.encode(encoder, texts), cache.encode(encoder, texts))
    assert sum(spy.forward) == 2 * len(texts)
    assert not cache.folder.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_put_down_to_the_item(
    spy: Spy, cache: Cache, texts: list[TextItem], pictures: list[ImageItem], value: float
) -> None:
    class Spoil(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            rows = rows.float().flatten(1)[:, :2].clone()
            rows[(rows[:, 0] == 14) | (rows[:, 0] == 60 / 255), 1] = value
            return rows

    with pytest.raises(DataError, match="text of pair 'text 3': its features are not finite numbers"):
        cache.encode(spy.texts(module=Spoil()), texts)
    with pytest.raises(DataError, match=r"2\.png: its features are not finite numbers"):
        cache.encode(spy.images(module=Spoil(), dim=2), pictures)
    assert not cache.folder.exists()


def test_half_precision_features_become_float32(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    class Half(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            return rows.half()

    assert cache.encode(spy.texts(module=Half()), texts).dtype == torch.float32


def test_the_next_batch_is_prepared_while_the_module_computes(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    begun = threading.Event()
    prepare = spy.texts().prepare

    def watched(items: list[Item]) -> Tensor:
        if items[0].id == "text 3":
            begun.set()
        return prepare(items)

    class Waits(nn.Module):
        def forward(self, rows: Tensor) -> Tensor:
            assert begun.wait(10), "the second batch was not prepared ahead"
            return rows.float()

    cache.encode(spy.texts(prepare=watched, module=Waits()), texts)


def _encode_in_a_process(folder: Path, count: int) -> list[list[float]]:
    items = [TextItem(str(number), "word " * number) for number in range(count)]
    options: dict[str, Any] = {"device": torch.device("cpu"), "batch": 16, "cache_dir": folder}
    return [encode_items(Spy().texts(), items, **options)[-1].tolist() for _ in range(10)]


def test_two_processes_on_one_cache(tmp_path: Path) -> None:
    """Each run deletes nothing and sees whole files only, though both write the same ones at the same time."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        jobs = [(tmp_path, count) for count in (64, 64, 65, 65)]
        results = pool.starmap(_encode_in_a_process, jobs, chunksize=1)
    assert results == [[[5 * (count - 1), count - 1]] * 10 for _, count in jobs]
    assert len(list((tmp_path / "features").iterdir())) == 4


def test_many_threads_on_one_cache(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    encoder = spy.texts()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: cache.encode(encoder, texts), range(32)))
    assert all(torch.equal(result, results[0]) for result in results)
    assert not any("broken" in line for line in cache.log)
    assert len(cache.files()) == 2
