"""`faiss` and `usearch`: what they share, and what they find."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_core import load_tensors, save_tensors
from dckt_core.base.errors import UsageError
from dckt_core.contract.protocols import IndexContext
from dckt_core.testing import assert_index_ok
from dckt_plugins import extras
from dckt_plugins.indexes.approximate import FORMAT, KIND, STRUCTURE
from dckt_plugins.indexes.catalogue import FaissOptions, USearchOptions
from dckt_plugins.indexes.exact import ExactIndex
from tests.support import box
from tests.support.needs import part

FAISS, USEARCH = box.spec("index", "faiss"), box.spec("index", "usearch")
CHOICES = [
    pytest.param("faiss", FAISS, FaissOptions(structure="hnsw"), id="faiss-hnsw"),
    pytest.param("faiss", FAISS, FaissOptions(structure="ivf"), id="faiss-ivf"),
    pytest.param("faiss", FAISS, FaissOptions(structure="flat"), id="faiss-flat"),
    pytest.param("usearch", USEARCH, USearchOptions(values="f32"), id="usearch-f32"),
    pytest.param("usearch", USEARCH, USearchOptions(values="f16"), id="usearch-f16"),
]
each = pytest.mark.parametrize(("package", "spec", "options"), CHOICES)


def made(package: str, spec: Any, options: Any, dim: int = 24) -> Any:
    part(package)
    return spec.build(options, IndexContext(dim=dim, seed=0))


def clusters(count: int, dim: int = 24, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(40, dim, generator=generator)
    chosen = torch.randint(40, (count,), generator=generator)
    return centres[chosen] + 0.4 * torch.randn(count, dim, generator=generator)


@each
def test_it_keeps_the_contract(package: str, spec: Any, options: Any) -> None:
    part(package)
    assert_index_ok(spec, options)


@each
def test_it_finds_most_of_what_is_nearest_with_exact_cosines(package: str, spec: Any, options: Any) -> None:
    index, exact = made(package, spec, options), ExactIndex(24)
    vectors, queries = clusters(3000), clusters(50, seed=1)
    for start in range(0, 3000, 700):  # a graph grows
        names = [f"v{row}" for row in range(start, min(start + 700, 3000))]
        index.add(names, vectors[start : start + 700])
        exact.add(names, vectors[start : start + 700])
        index.search(queries, 1)
    found, cosines = index.search(queries, 10)
    truth, best = exact.search(queries, 10)
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, truth, strict=True))
    assert hits >= 0.95 * 500
    same = torch.tensor([a == b for a, b in zip(found, truth, strict=True)])
    assert same.any()
    assert torch.equal(cosines[same], best[same])


@pytest.fixture(autouse=True)
def a_key_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of whoever runs the tests."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))


@each
def test_a_structure_that_was_not_made_here_is_not_read(
    package: str, spec: Any, options: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    """Bytes changed and every digest made anew, as a stranger can: machine code never sees them."""
    caplog.set_level(logging.WARNING, logger="dckt")
    index, queries = made(package, spec, options), clusters(5, seed=1)
    index.add([str(row) for row in range(100)], clusters(100))
    index.save(tmp_path / "index")
    names, _ = index.search(queries, 7)
    tensors, facts = load_tensors(tmp_path / "index" / STRUCTURE, kind=KIND, format=FORMAT)
    seen: list[int] = []

    def load() -> Any:
        other = made(package, spec, options)
        read = other._read
        other._read = lambda content: seen.append(len(content)) or read(content)
        other.load(tmp_path / "index")
        return other

    assert load().search(queries, 7)[0] == names
    assert len(seen) == 1
    spoilt = tensors["bytes"].clone()
    spoilt[len(spoilt) // 2 : len(spoilt) // 2 + 4] ^= 255
    for said in (facts, facts | {"made": "0" * 64}, {**facts, "made": None}):
        save_tensors(tmp_path / "index" / STRUCTURE, {"bytes": spoilt}, said, kind=KIND, format=FORMAT)
        assert load().search(queries, 7)[0] == names
    save_tensors(tmp_path / "index" / STRUCTURE, tensors, facts, kind=KIND, format=FORMAT)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "of another user"))
    assert load().search(queries, 7)[0] == names
    assert len(seen) == 1, "nothing but what was made here was read"
    assert caplog.text.count("not made here by this user") == 4
    monkeypatch.setenv("DCKT_TRUST_INDEXES", "1")
    assert load().search(queries, 7)[0] == names
    assert len(seen) == 2


@each
def test_a_stored_structure_is_read_back_or_built_anew(
    package: str, spec: Any, options: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="dckt")
    index, queries = made(package, spec, options), clusters(5, seed=1)
    index.add([str(row) for row in range(300)], clusters(300))
    index.save(tmp_path)
    names, cosines = index.search(queries, 7)

    def loaded() -> tuple[list[list[str]], Tensor]:
        caplog.clear()
        other = made(package, spec, options)
        other.load(tmp_path)
        found: tuple[list[list[str]], Tensor] = other.search(queries, 7)
        return found

    found, again = loaded()
    assert (found, caplog.messages) == (names, [])
    assert torch.equal(again, cosines)
    file = tmp_path / STRUCTURE
    tensors, facts = load_tensors(file, kind=KIND, format=FORMAT)
    content = file.read_bytes()

    def flip() -> None:
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])

    def of_others() -> None:
        save_tensors(file, tensors, facts | {"vectors": "0" * 64}, kind=KIND, format=FORMAT)

    for spoil in (flip, of_others, file.unlink):
        spoil()
        assert loaded()[0] == names
        assert len(caplog.messages) == 1
        assert "built anew" in caplog.text


def test_more_probes_find_more(tmp_path: Path) -> None:
    exact, queries, vectors = ExactIndex(24), clusters(60, seed=1), clusters(2000)
    exact.add([str(row) for row in range(2000)], vectors)
    truth, _ = exact.search(queries, 10)
    hits = []
    for probes in (1, 4, 44):
        index = made("faiss", FAISS, FaissOptions(structure="ivf", probes=probes, lists=44))
        index.add([str(row) for row in range(2000)], vectors)
        found, _ = index.search(queries, 10)
        hits.append(sum(len(set(a) & set(b)) for a, b in zip(found, truth, strict=True)))
    assert hits[0] < hits[1] < hits[2] == 600


@pytest.mark.parametrize("lists", [0, 30])
def test_lists_are_made_anew_once_there_are_many_more_vectors(lists: int, tmp_path: Path) -> None:
    options = FaissOptions(structure="ivf", probes=1, lists=lists)
    grown, fresh = made("faiss", FAISS, options), made("faiss", FAISS, options)
    vectors, queries, names = clusters(1500), clusters(50, seed=1), [str(row) for row in range(1500)]
    grown.add(names[:20], vectors[:20])
    grown.save(tmp_path)
    grown.load(tmp_path)
    grown.add(names[20:], vectors[20:])
    fresh.add(names, vectors)
    assert grown.search(queries, 10)[0] == fresh.search(queries, 10)[0]
    some = made("faiss", FAISS, options)
    some.add(names[:1400], vectors[:1400])
    some.search(queries, 10)
    some.add(names[1400:], vectors[1400:])
    assert some.search(queries, 10)[0] != fresh.search(queries, 10)[0], "a few more are not worth it"


@pytest.mark.parametrize(("spec", "extra"), [(FAISS, "faiss"), (USEARCH, "usearch")])
def test_a_missing_package_is_one_line_with_the_extra(spec: Any, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(UsageError, match=rf"index '{extra}' needs .* not installed: pip install 'dckt\[{extra}\]'"):
        spec.build(spec.options(), IndexContext(dim=4, seed=0))
