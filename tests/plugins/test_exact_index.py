from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.contract.protocols import IndexContext
from dckt_core.io.tensors import save_tensors
from dckt_plugins.indexes import exact
from dckt_plugins.indexes.exact import FILE, FORMAT, KIND, ExactIndex
from tests.support import box
from tests.support.tolerance import assert_same


def filled(vectors: Tensor) -> ExactIndex:
    index = ExactIndex(vectors.shape[1])
    index.add([f"v{row}" for row in range(len(vectors))], vectors)
    return index


def rows(ids: list[list[str]]) -> list[list[int]]:
    return [[int(id_[1:]) for id_ in found] for found in ids]


@pytest.mark.numerics
def test_by_hand() -> None:
    spec = box.spec("index", "exact")
    index = spec.build(spec.options(), IndexContext(dim=2, seed=0))
    index.add(["east", "north", "far north-east"], torch.tensor([[1.0, 0.0], [0.0, 2.0], [30.0, 30.0]]))
    ids, cosines = index.search(torch.tensor([[5.0, 0.0], [-1.0, 0.5]]), 2)
    assert ids == [["east", "far north-east"], ["north", "far north-east"]]
    expected = torch.tensor([[1, math.sqrt(0.5)], [1 / math.sqrt(5), -1 / math.sqrt(10)]])
    assert_same(cosines, expected, terms=2)


@pytest.mark.numerics
@given(seed=st.integers(0, 10_000), size=st.integers(1, 90), dim=st.integers(1, 40), k=st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_equals_a_full_sort_in_any_chunks(seed: int, size: int, dim: int, k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(size, dim, generator=generator)
    queries = torch.randn(5, dim, generator=generator)
    unit = torch.nn.functional.normalize(vectors.double(), dim=1).float().double()
    cosine = torch.nn.functional.normalize(queries.double(), dim=1)[:, None].mul(unit).sum(dim=2)
    order = cosine.argsort(dim=1, descending=True, stable=True)[:, :k]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "VECTOR_CHUNK", int(torch.randint(1, 100, (1,), generator=generator)))
        patch.setattr(exact, "QUERY_CHUNK", int(torch.randint(1, 7, (1,), generator=generator)))
        patch.setattr(exact, "FEW", int(torch.randint(0, 7, (1,), generator=generator)))
        ids, cosines = filled(vectors).search(queries, k)
    assert rows(ids) == order.tolist()
    assert_same(cosines, cosine.gather(1, order), terms=dim, scale=1)


@pytest.mark.parametrize("chunk", [7, 64, 65536])
@pytest.mark.parametrize("k", [1, 10, 500])
def test_equal_vectors_come_in_the_order_of_insertion(monkeypatch: pytest.MonkeyPatch, chunk: int, k: int) -> None:
    monkeypatch.setattr(exact, "VECTOR_CHUNK", chunk)
    generator = torch.Generator().manual_seed(0)
    base = torch.rand(55, 100, generator=generator).softmax(dim=1)
    ids, cosines = filled(base.repeat(4, 1)).search(base[:9], k)
    for query, found in enumerate(rows(ids)):
        assert found[:4] == [query, query + 55, query + 110, query + 165][:k]
        ranks = list(zip((-cosines[query]).tolist(), found, strict=True))
        assert ranks == sorted(ranks)


def test_an_id_that_comes_again_is_replaced_in_its_place() -> None:
    index = filled(torch.eye(3))
    index.add(["v1", "new", "v1"], torch.tensor([[9.0, 9.0, 9.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    assert len(index) == 4
    ids, cosines = index.search(torch.tensor([[1.0, 0.0, 0.0]]), 9)
    assert ids == [["v0", "v1", "new", "v2"]]
    assert cosines.tolist() == [[1.0, 1.0, 1.0, 0.0]]


def test_removal() -> None:
    index = filled(torch.eye(4))
    with pytest.raises(KeyError, match="gone"):
        index.remove(["v1", "gone"])
    assert len(index) == 4
    index.remove(["v1", "v3"])
    index.add(["v1"], torch.tensor([[0.0, 0.0, 0.0, 1.0]]))
    assert index.search(torch.ones(1, 4), 9)[0] == [["v0", "v2", "v1"]]
    index.remove(["v0", "v1", "v2"])
    assert len(index) == 0


@st.composite
def histories(draw: Any) -> list[tuple[str, Any]]:
    ids = st.lists(st.sampled_from("abcdefgh"), max_size=5)
    return draw(st.lists(st.tuples(st.sampled_from(["add", "remove", "reload"]), ids), max_size=8))


@given(history=histories(), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_behaves_like_a_dict(tmp_path_factory: pytest.TempPathFactory, history: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    index, model = ExactIndex(3), {}
    for action, ids in history:
        if action == "add":
            vectors = torch.randint(-2, 3, (len(ids), 3), generator=generator).float()
            index.add(ids, vectors)
            model.update(zip(ids, vectors, strict=True))
        elif action == "remove":
            present = [id_ for id_ in dict.fromkeys(ids) if id_ in model]
            index.remove(present)
            for id_ in present:
                del model[id_]
        else:
            folder = tmp_path_factory.mktemp("index")
            index.save(folder)
            index = ExactIndex(3)
            index.load(folder)
    assert len(index) == len(model)
    query = torch.tensor([[1.0, 2.0, 3.0]])
    fresh = ExactIndex(3)
    fresh.add(list(model), torch.stack(list(model.values())) if model else torch.empty(0, 3))
    (found,), cosines = index.search(query, 20)
    (expected,), wanted = fresh.search(query, 20)
    assert found == expected
    assert torch.equal(cosines, wanted)


def test_the_edges() -> None:
    empty = ExactIndex(2)
    ids, cosines = empty.search(torch.ones(3, 2), 5)
    assert (ids, cosines.shape) == ([[], [], []], (3, 0))
    assert filled(torch.eye(2)).search(torch.empty(0, 2), 5)[1].shape == (0, 2)
    assert filled(torch.zeros(1, 2)).search(torch.ones(1, 2), 5)[1].tolist() == [[0.0]]
    assert filled(torch.eye(2)).search(torch.zeros(1, 2), 1)[0] == [["v0"]]


def test_bad_input_is_refused_and_changes_nothing() -> None:
    index = filled(torch.eye(2))
    with pytest.raises(ValueError, match=r"vectors of shape \[2, 3\] must be \[2, 2\]"):
        index.add(["a", "b"], torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"must be \[1, 2\]"):
        index.add(["a"], torch.ones(2, 2))
    with pytest.raises(DataError, match="not finite"):
        index.add(["a"], torch.tensor([[1.0, math.nan]]))
    with pytest.raises(DataError, match="not finite"):
        index.search(torch.tensor([[1.0, math.inf]]), 1)
    with pytest.raises(ValueError, match="k = 0 must be 1 or more"):
        index.search(torch.ones(1, 2), 0)
    assert len(index) == 2


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    index = filled(torch.randn(30, 6, generator=torch.Generator().manual_seed(0)))
    index.save(tmp_path / "deep" / "index")
    assert sorted(file.name for file in (tmp_path / "deep" / "index").iterdir()) == ["vectors.safetensors"]
    other = filled(torch.eye(6))
    other.load(tmp_path / "deep" / "index")
    query = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    assert other.search(query, 30)[0] == index.search(query, 30)[0]
    assert torch.equal(other.search(query, 30)[1], index.search(query, 30)[1])
    other.add(["later"], torch.ones(1, 6))
    assert len(other) == 31


def test_ids_come_back_whatever_they_hold(tmp_path: Path) -> None:
    ids = ["", "a b", "犬\n", "half \udcff", "\0", '"'] + [f"i{n}" for n in range(10)]
    index = ExactIndex(16)
    index.add(ids, torch.eye(16))
    index.save(tmp_path)
    other = ExactIndex(16)
    other.load(tmp_path)
    assert other.search(torch.eye(16), 1)[0] == [[id_] for id_ in ids]


def damage(file: Path, how: str) -> None:
    tensors = load_file(file)
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    elif how == "altered":
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    elif how == "other format":
        save_tensors(file, tensors, kind=KIND, format=99)
    elif how == "other kind":
        save_tensors(file, tensors, kind="shard", format=FORMAT)
    elif how == "wider":
        filled(torch.eye(3)).save(file.parent)
    else:
        changed = {
            "no ids": {name: value for name, value in tensors.items() if name != "ids"},
            "fewer ids": tensors | {"ends": tensors["ends"][:1]},
            "no UTF-8": tensors | {"ids": torch.full_like(tensors["ids"], 255)},
            "not finite": tensors | {"vectors": tensors["vectors"] / 0},
            "an id twice": tensors | {"ids": torch.full_like(tensors["ids"], 65)},
        }
        save_tensors(file, changed[how], kind=KIND, format=FORMAT)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("gone", "no such file"),
        ("cut", "not a whole index of vectors"),
        ("altered", "not a whole index of vectors: its checksum does not fit"),
        ("other format", "format 99, and this dckt reads 1"),
        ("other kind", "of another kind: 'shard', not 'index of vectors'"),
        ("wider", "its vectors have 3 values, not 2"),
        ("no ids", "not a whole index of vectors"),
        ("fewer ids", "something else than finite vectors with an id each"),
        ("no UTF-8", "not a whole index of vectors"),
        ("not finite", "something else than finite vectors with an id each"),
        ("an id twice", "something else than finite vectors with an id each"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, how: str, said: str) -> None:
    filled(torch.eye(2)).save(tmp_path)
    damage(tmp_path / FILE, how)
    index = filled(torch.ones(1, 2))
    with pytest.raises(DataError, match=f"vectors.safetensors: .*{said}"):
        index.load(tmp_path)
    assert len(index) == 1
