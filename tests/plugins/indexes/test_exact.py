from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dckt_core.errors import DataError
from dckt_core.protocols import Index, IndexContext
from dckt_core.specs import NoOptions
from dckt_plugins.indexes import exact, exact_index


def index(dim: int = 2, **vectors: list[float]) -> Index:
    (spec,) = exact.dckt_indexes()
    made = spec.build(NoOptions(), IndexContext(dim=dim, seed=0))
    if vectors:
        made.add(list(vectors), torch.tensor(list(vectors.values())))
    return made


def nearest(made: Index, *query: float, k: int = 10) -> list[str]:
    return made.search(torch.tensor([query]), k)[0][0]


def test_by_hand() -> None:
    made = index(east=[3.0, 0.0], north=[0.0, 0.5], west=[-1.0, 0.0], between=[1.0, 1.0])
    ids, cosines = made.search(torch.tensor([[2.0, 0.0], [0.0, -7.0]]), 3)
    assert ids == [["east", "between", "north"], ["east", "west", "between"]]
    assert torch.allclose(cosines, torch.tensor([[1.0, 0.5**0.5, 0.0], [0.0, 0.0, -(0.5**0.5)]]))
    assert cosines.dtype == torch.float32


def test_k_beyond_the_size_gives_all() -> None:
    ids, cosines = index(a=[1.0, 0.0], b=[0.0, 1.0]).search(torch.ones(3, 2), 9)
    assert [len(row) for row in ids] == [2, 2, 2]
    assert cosines.shape == (3, 2)


def test_an_empty_index_and_no_queries() -> None:
    ids, cosines = index().search(torch.ones(2, 2), 5)
    assert (ids, cosines.shape) == ([[], []], (2, 0))
    ids, cosines = index(a=[1.0, 0.0]).search(torch.empty(0, 2), 5)
    assert (ids, cosines.shape) == ([], (0, 1))


def test_a_zero_vector_has_cosine_zero() -> None:
    made = index(away=[-1.0, 0.0], nothing=[0.0, 0.0], near=[1.0, 0.0])
    assert nearest(made, 1.0, 0.0) == ["near", "nothing", "away"]
    assert nearest(made, 0.0, 0.0) == ["away", "nothing", "near"]


@pytest.mark.parametrize(("width", "count"), [(100, 55), (123, 175), (20, 301)])
def test_equal_vectors_come_in_insertion_order(width: int, count: int) -> None:
    """In a plain matrix product they do not: the last bits depend on the column."""
    rows = torch.rand(count, width, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    made = index(width)
    for turn in range(3):
        made.add([f"{turn}-{row}" for row in range(count)], rows)
    for found in made.search(rows, 3 * count)[0]:
        turns: dict[str, list[str]] = {}
        for name in found:
            turn, _, row = name.partition("-")
            turns.setdefault(row, []).append(turn)
        assert set(map(tuple, turns.values())) == {("0", "1", "2")}


def test_an_id_that_is_there_is_replaced_and_keeps_its_place() -> None:
    made = index(a=[1.0, 0.0], b=[1.0, 0.0], c=[1.0, 0.0])
    given = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    made.add(["b", "d"], given)
    given.zero_()
    assert nearest(made, 1.0, 0.0) == ["a", "c", "d", "b"]
    made.add(["b"], torch.tensor([[1.0, 0.0]]))
    assert nearest(made, 1.0, 0.0) == ["a", "b", "c", "d"]
    assert len(made) == 4


def test_of_an_id_given_twice_the_last_counts() -> None:
    made = index()
    made.add(["a", "b", "a"], torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]))
    assert nearest(made, 1.0, 0.0) == ["b", "a"]


def test_remove() -> None:
    made = index(a=[1.0, 0.0], b=[0.8, 0.6], c=[0.0, 1.0])
    made.remove(["b"])
    assert nearest(made, 1.0, 0.0) == ["a", "c"]
    with pytest.raises(KeyError, match="b"):
        made.remove(["a", "b"])
    assert len(made) == 2, "nothing is taken out where one is unknown"
    made.remove(["a", "c", "a"])
    assert len(made) == 0
    made.add(["z"], torch.tensor([[1.0, 0.0]]))
    assert nearest(made, 1.0, 0.0) == ["z"]


@given(data=st.data(), chunk=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_equals_brute_force_whatever_was_added_replaced_and_removed(data: st.DataObject, chunk: int) -> None:
    made, world = index(3), dict[str, Tensor]()
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    for _ in range(data.draw(st.integers(1, 6))):
        names = data.draw(st.lists(st.sampled_from("abcdefghij"), max_size=6))
        if data.draw(st.booleans()):
            vectors = torch.randn(len(names), 3, generator=generator)
            made.add(names, vectors)
            world |= dict(zip(names, vectors, strict=True))
        else:
            names = [name for name in names if name in world]
            made.remove(names)
            world = {name: vector for name, vector in world.items() if name not in names}
    queries, k = torch.randn(4, 3, generator=generator), data.draw(st.integers(1, 12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_index, "CHUNK_ENTRIES", chunk)
        ids, cosines = made.search(queries, k)
    assert len(made) == len(world)
    for row, query in enumerate(queries):
        expected = {name: float(torch.cosine_similarity(query, vector, dim=0)) for name, vector in world.items()}
        best = sorted(expected, key=lambda name: -expected[name])[:k]
        assert ids[row] == best
        assert cosines[row].tolist() == pytest.approx([expected[name] for name in best], abs=1e-6)


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    made, again = index(7), index(7)
    made.add([f"größe {n}" for n in range(50)], torch.randn(50, 7, generator=generator))
    made.remove(["größe 3"])
    made.save(tmp_path / "made" / "index")
    again.add(["gone"], torch.ones(1, 7))
    again.load(tmp_path / "made" / "index")
    queries = torch.randn(5, 7, generator=generator)
    for first, second in zip(made.search(queries, 60), again.search(queries, 60), strict=True):
        assert torch.equal(first, second) if isinstance(first, Tensor) else first == second
    again.add(["new"], queries[:1])
    assert again.search(queries[:1], 1)[0] == [["new"]]


def test_files_that_are_no_index(tmp_path: Path) -> None:
    made = index(a=[1.0, 0.0], b=[0.0, 1.0])
    with pytest.raises(DataError, match=r"ids\.json: no such file"):
        made.load(tmp_path)
    made.save(tmp_path)
    with pytest.raises(DataError, match=r"expected 2 finite vectors of width 5, found a tensor of shape \[2, 2\]"):
        index(5).load(tmp_path)
    (tmp_path / "ids.json").write_text(json.dumps(["a"]))
    with pytest.raises(DataError, match="expected 1 finite vectors"):
        made.load(tmp_path)
    for broken in (["a", "a"], ["a", 2], {"a": 0}):
        (tmp_path / "ids.json").write_text(json.dumps(broken))
        with pytest.raises(DataError, match="not a list of ids, each there once"):
            made.load(tmp_path)
    (tmp_path / "ids.json").write_text("[")
    with pytest.raises(DataError, match="not a whole index"):
        made.load(tmp_path)
    made.save(tmp_path)
    vectors = tmp_path / "vectors.safetensors"
    vectors.write_bytes(vectors.read_bytes()[:-1])
    with pytest.raises(DataError, match="not a whole index"):
        made.load(tmp_path)
    vectors.unlink()
    with pytest.raises(DataError, match=r"vectors\.safetensors: no such file"):
        made.load(tmp_path)
    assert nearest(made, 1.0, 0.0) == ["a", "b"], "what was there stays"


def test_bad_arguments() -> None:
    made = index(a=[1.0, 0.0])
    with pytest.raises(ValueError, match="k = 0 must be 1 or more"):
        made.search(torch.ones(1, 2), 0)
    for bad in (torch.ones(2), torch.ones(1, 3)):
        with pytest.raises(ValueError, match="must be a matrix of width 2"):
            made.search(bad, 1)
        with pytest.raises(ValueError, match="must be a matrix of width 2"):
            made.add(["b"], bad)
    with pytest.raises(ValueError, match="not finite"):
        made.add(["b"], torch.tensor([[torch.nan, 0.0]]))
    with pytest.raises(ValueError, match="1 vectors for 2 ids"):
        made.add(["b", "c"], torch.ones(1, 2))
    assert len(made) == 1


def test_listing_imports_no_torch() -> None:
    listing = "from dckt_plugins.indexes import exact; list(exact.dckt_indexes())"
    program = f"import sys; {listing}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
