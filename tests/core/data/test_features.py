import errno
import json
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dckt_core.base.errors import DataError, PluginError, StoppedError
from dckt_core.base.rng import seeded_construction
from dckt_core.base.stopping import stopping
from dckt_core.contract.pairs import ImageItem, TextItem
from dckt_core.contract.protocols import Encoder, Item
from dckt_core.data import feature_cache
from dckt_core.data.feature_cache import FeatureCache, read_segment, write_segment
from dckt_core.data.features import encode_items, item_digests
from tests.support.processes import together
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
        """The segments, the oldest first."""
        return sorted(self.folder.glob("features/*/*.safetensors"), key=lambda file: file.stat().st_mtime_ns)

    def rows(self) -> list[int]:
        """How many each segment holds."""
        return [len(load_file(file)["items"]) for file in self.files()]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_a_second_run_reads_what_the_first_computed(
    spy: Spy, cache: Cache, pictures: list[ImageItem], colours: Tensor
) -> None:
    first = cache.encode(spy.images(), pictures)
    assert_same(first, colours, terms=3)
    assert spy.forward == [3, 3, 3], "the last block is as large as all"
    assert sorted(name for batch in spy.prepared for name in batch) == [item.id for item in pictures]
    second = cache.encode(spy.images(), pictures)
    assert spy.forward == [3, 3, 3]
    assert torch.equal(first, second)
    assert len(cache.files()) == 1
    assert cache.log == [
        "features of 7 images computed and put into the cache",
        "features of 7 images read from the cache",
    ]


def test_another_draw_encodes_what_is_new_alone(
    spy: Spy, cache: Cache, pictures: list[ImageItem], colours: Tensor
) -> None:
    cache.encode(spy.images(), pictures[:4])
    spy.prepared.clear()
    found = cache.encode(spy.images(), [pictures[number] for number in (6, 2, 0, 6, 5)])
    assert_same(found, colours[[6, 2, 0, 6, 5]], terms=3)
    assert sorted(name for batch in spy.prepared for name in batch) == ["image 5", "image 6"]
    assert cache.log[1] == "features of 5 images: 2 read from the cache, 3 computed and put into the cache"
    assert cache.rows() == [4, 2]
    spy.prepared.clear()
    assert_same(cache.encode(spy.images(), pictures[::-1]), colours.flip(0), terms=3)
    assert spy.prepared == [["image 4"]]


def test_equal_items_are_encoded_once(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    twins = [TextItem("first", "a b"), TextItem("second", "c"), TextItem("third", "a b")]
    assert cache.encode(spy.texts(), twins).tolist() == [[3, 1], [1, 0], [3, 1]]
    assert spy.prepared == [["first", "second"]]


class Layers(nn.Module):
    """Of the kind whose last bits depend on the shape of a batch."""

    def __init__(self) -> None:
        super().__init__()
        with seeded_construction(0, "a test"):
            self.inner = nn.Sequential(nn.Linear(300, 256), nn.ReLU(), nn.Linear(256, 64))

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.inner(rows)
        return found


def test_what_the_cache_holds_changes_no_bit(cache: Cache, tmp_path: Path) -> None:
    """Neighbours, places, what was there before, killed runs: a row is its item's."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(100, 300, generator=generator)
    items = [TextItem(str(number), str(number)) for number in range(100)]
    module = Layers()

    def prepare(items: list[TextItem]) -> Tensor:
        return torch.stack([drawn[int(item.text)] for item in items])

    encoder = Encoder(prepare=prepare, module=module, dim=64, fingerprint="layers")
    afresh = cache.encode(encoder, items, batch=16)
    for attempt in range(20):
        order = torch.randperm(100, generator=generator)
        other = Cache(tmp_path / f"{attempt}")
        start = 0
        for size in torch.randint(1, 40, (4,), generator=generator).tolist():
            some = order[start : start + size].tolist()
            rows = other.encode(encoder, [items[number] for number in some], batch=16)
            assert torch.equal(rows, afresh[some])
            start += size
        assert torch.equal(other.encode(encoder, items, batch=16), afresh)


def test_what_was_computed_before_the_end_is_kept(
    spy: Spy, cache: Cache, pictures: list[ImageItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dckt_core.data.features.ROWS", 3)
    pictures[5].path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"5\.png"):
        cache.encode(spy.images(), pictures)
    assert cache.rows() == [3]


def test_many_small_segments_become_one(
    spy: Spy, cache: Cache, texts: list[TextItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "MANY", 4)
    for count in range(1, 5):
        cache.encode(spy.texts(), texts[:count])
    assert cache.rows() == [4]
    spy.prepared.clear()
    assert cache.encode(spy.texts(), texts[:4]).tolist() == [[0, 0], [4, 0], [9, 1], [14, 2]]
    assert spy.prepared == []


def test_large_segments_are_left_alone_and_none_is_larger_than_allowed(
    spy: Spy, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "ROWS", 6)
    monkeypatch.setattr(feature_cache, "SMALL", 3)
    monkeypatch.setattr(feature_cache, "MANY", 4)
    items = [TextItem(str(number), "x" * number) for number in range(30)]
    cache.encode(spy.texts(), items[:8])
    assert cache.rows() == [4, 4]
    large = cache.files()
    for number in range(8, 16, 2):
        cache.encode(spy.texts(), items[number : number + 2])
    assert cache.rows() == [4, 4, 4, 4]
    assert cache.files()[:2] == large
    assert cache.encode(spy.texts(), items)[:, 0].tolist() == list(range(30))


def test_a_segment_that_goes_while_it_is_looked_for_is_computed_again(
    spy: Spy, cache: Cache, texts: list[TextItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    features = cache.encode(spy.texts(), texts)
    [file] = cache.files()

    def gone(path: Path, dim: int) -> Any:
        path.unlink()
        return read_segment(path, dim)

    with monkeypatch.context() as patch:
        patch.setattr(feature_cache, "read_segment", gone)
        assert torch.equal(cache.encode(spy.texts(), texts), features)
    assert cache.files() == [file]
    assert len(cache.log) == 2, "no fault of the file's"


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


def test_the_key_tells_apart_all_that_features_depend_on(spy: Spy, cache: Cache, pictures: list[ImageItem]) -> None:
    cache.encode(spy.images(), pictures)
    spy.prepared.clear()
    cache.encode(spy.images(), [ImageItem("other name", item.path) for item in pictures])
    assert spy.prepared == []
    for encoder, batch in ((spy.images(fingerprint="spy-2"), 3), (spy.images(), 4)):
        cache.encode(encoder, pictures, batch=batch)
        assert spy.prepared
        spy.prepared.clear()
    with pytest.raises(PluginError, match=r"gave \(3, 3\), not \(3, 4\)"):
        cache.encode(spy.images(dim=4), pictures)
    pictures[3].path.write_bytes(pictures[2].path.read_bytes())
    spy.prepared.clear()
    assert torch.equal(*cache.encode(spy.images(), pictures)[2:4])
    assert spy.prepared == [], "known by what it holds"


def test_items_are_known_by_what_they_hold(pictures: list[ImageItem]) -> None:
    said = [TextItem("x", "ab"), TextItem("y", "ab"), TextItem("x", "a"), TextItem("x", ""), *pictures]
    digests = item_digests(said)
    assert len({*digests}) == 10
    assert digests[0] == digests[1]
    assert {len(digest) for digest in digests} == {32}


def test_a_file_that_is_gone_is_named(spy: Spy, cache: Cache, pictures: list[ImageItem]) -> None:
    pictures[4].path.unlink()
    with pytest.raises(DataError, match=r"4\.png: cannot be read: No such file"):
        cache.encode(spy.images(), pictures)


def test_a_broken_picture_is_named_and_what_was_done_before_it_is_kept(
    spy: Spy, cache: Cache, pictures: list[ImageItem], colours: Tensor
) -> None:
    good = pictures[4].path.read_bytes()
    pictures[4].path.write_bytes(good[:50])
    with pytest.raises(DataError, match=r"4\.png: cannot be decoded"):
        cache.encode(spy.images(), pictures)
    assert cache.rows() == [3], "the batch before"
    pictures[4].path.write_bytes(good)
    spy.prepared.clear()
    assert_same(cache.encode(spy.images(), pictures), colours, terms=3)
    assert sorted(name for batch in spy.prepared for name in batch) == ["image 3", "image 4", "image 5", "image 6"]


def test_who_is_stopped_keeps_what_is_encoded(
    spy: Spy, cache: Cache, pictures: list[ImageItem], colours: Tensor
) -> None:
    def progress(done: int, total: int, what: str) -> None:
        if done == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(StoppedError, match="stopped by SIGTERM; what is done is kept") as caught, stopping():
        cache.encode(spy.images(), pictures, progress=progress)
    assert caught.value.exit_code == 143
    assert cache.rows() == [6]
    spy.prepared.clear()
    assert_same(cache.encode(spy.images(), pictures), colours, terms=3)
    assert spy.prepared == [["image 6"]]


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def other_shape(file: Path) -> None:
    write_segment(file, [bytes(32)] * 5, load_file(file)["features"][:, :1])


def other_type(file: Path) -> None:
    write_segment(file, [bytes(32)] * 5, load_file(file)["features"].double())


def other_count(file: Path) -> None:
    items, rows = read_segment(file, 2)
    write_segment(file, items[:3], rows)


def other_name(file: Path) -> None:
    save_file({"rows": load_file(file)["features"]}, file)


def other_items(file: Path) -> None:
    save_file({**load_file(file), "items": torch.zeros(5, 31, dtype=torch.uint8)}, file)


def no_checksum(file: Path) -> None:
    save_file(load_file(file), file)


@pytest.mark.parametrize("harm", [flip_a_bit, cut, empty, other_count, other_name, other_items, no_checksum])
def test_a_broken_cache_file_is_found_and_made_anew(
    spy: Spy, cache: Cache, texts: list[TextItem], harm: Callable[[Path], None]
) -> None:
    features = cache.encode(spy.texts(), texts)
    [file] = cache.files()
    harm(file)
    assert torch.equal(cache.encode(spy.texts(), texts), features)
    assert cache.log[1].startswith("cached features: ")
    assert cache.log[1].endswith("; what it held is computed anew")
    assert file.stem not in cache.log[1], "64 digits are for -v"
    assert "\n" not in cache.log[1]
    assert cache.files() == [file]
    assert read_segment(file, 2)[0] == item_digests(texts)
    assert torch.equal(read_segment(file, 2)[1], features)


def test_a_segment_that_cannot_be_opened_just_now_stays(
    spy: Spy, cache: Cache, texts: list[TextItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.encode(spy.texts(), texts)
    [file] = cache.files()

    def too_many(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("dckt_core.io.tensors.safe_open", too_many)
    monkeypatch.setattr(Path, "open", too_many)
    found = FeatureCache(cache.folder, spy.texts(), 3, cache.log.append).read({}, torch.empty(0, 2))
    monkeypatch.undo()
    assert not found
    assert "Too many open files" in cache.log[-1]
    assert read_segment(file, 2)[0] == item_digests(texts)


@pytest.mark.parametrize("harm", [other_shape, other_type])
def test_a_segment_of_something_else_is_refused(
    spy: Spy, cache: Cache, texts: list[TextItem], harm: Callable[[Path], None]
) -> None:
    cache.encode(spy.texts(), texts)
    [file] = cache.files()
    harm(file)
    with pytest.raises(DataError, match=f"^{file}: not a whole segment of features: it holds no features of 2 values"):
        read_segment(file, 2)


def test_a_file_beside_says_what_it_is(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    cache.encode(spy.texts(), texts)
    said = json.loads((cache.files()[0].parent / "about.json").read_text())
    assert said == {"encoder": "spy-1", "dim": 2, "block": 3, "precision": "float32", "compiled": False}


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
    assert len(cache.log) == 1
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
    assert all(load_file(file)["features"].isfinite().all() for file in cache.files())


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


def _words(count: int) -> list[TextItem]:
    return [TextItem(str(number), "word " * number) for number in range(count)]


def test_processes_on_one_cache(tmp_path: Path) -> None:
    """Each run deletes nothing and sees whole files only, though all write the same ones at the same time."""
    options: dict[str, Any] = {"device": torch.device("cpu"), "batch": 16, "cache_dir": tmp_path}
    counts = (64, 64, 65, 65)
    told = [tmp_path / f"{number}.json" for number in range(len(counts))]

    def encode(count: int, file: Path) -> int:
        items = _words(count)
        ends = [encode_items(Spy().texts(), items, **options)[-1].tolist() for _ in range(10)]
        file.write_text(json.dumps(ends))
        return 0

    works = [partial(encode, count, file) for count, file in zip(counts, told, strict=True)]
    assert together(works) == [0] * len(works)
    for count, file in zip(counts, told, strict=True):
        assert json.loads(file.read_text()) == [[5 * (count - 1), count - 1]] * 10
    files = list(tmp_path.glob("features/*/*.safetensors"))
    assert {item for file in files for item in read_segment(file, 2)[0]} == set(item_digests(_words(65)))
    assert not list(tmp_path.rglob("*.tmp"))


def _draw_in_a_process(folder: Path, seed: int) -> int:
    """Draws of some items, while others merge and remove what lies there; how many rows were wrong."""
    feature_cache.MANY = 3  # of this process alone, which ends
    generator, wrong = torch.Generator().manual_seed(seed), 0
    items = _words(60)
    for _ in range(25):
        some = torch.randperm(60, generator=generator)[:7].tolist()
        options: dict[str, Any] = {"device": torch.device("cpu"), "batch": 4, "cache_dir": folder}
        rows = encode_items(Spy().texts(), [items[number] for number in some], **options)
        wrong += sum(row != [5 * number, max(0, number)] for row, number in zip(rows.tolist(), some, strict=True))
        if seed == 2:  # one that is broken now and then, and a file that nobody merges
            for file in list(folder.glob("features/*/*.safetensors"))[:1]:
                broken = (
                    folder / "broken"
                )  # put in its place whole: who has mapped the file goes on reading the old one
                broken.write_bytes(b"broken")
                broken.replace(file)
    return wrong


def test_draws_in_several_processes_while_segments_are_merged_broken_and_removed(tmp_path: Path) -> None:
    assert together([partial(_draw_in_a_process, tmp_path, seed) for seed in range(3)]) == [0, 0, 0]
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(list(tmp_path.glob("features/*/*.safetensors"))) < 12, "merged"


def test_many_threads_on_one_cache(spy: Spy, cache: Cache, texts: list[TextItem]) -> None:
    encoder = spy.texts()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: cache.encode(encoder, texts), range(32)))
    assert all(torch.equal(result, results[0]) for result in results)
    assert not any("broken" in line for line in cache.log)
    assert len(cache.files()) == 1
