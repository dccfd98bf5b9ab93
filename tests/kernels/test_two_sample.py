from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import kstest
from torch import Tensor

from dckt_core.testing.rounding import rounding
from dckt_kernels import cmmd, drift, kid, mk_mmd, two_sample_test, witness
from dckt_kernels.two_sample import permutations as module
from dckt_kernels.two_sample.features import nystrom, random_features
from dckt_kernels.two_sample.kernels import FAMILIES, WITHOUT_BANDWIDTH, Kernel, family
from tests.support.tolerance import assert_same

EVERY_METHOD = ("exact", "features", "nystrom", "agg", "fuse")


def normal(rows: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- statistics ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(5, 5), (7, 3), (1, 4), (600, 20)])
def test_the_statistic_is_the_biased_mmd(n: int, m: int) -> None:
    x, y = normal(n, 6, 1), normal(m, 6, 2, shift=0.5)
    expected = mk_mmd(x, y, backend="reference")
    found = two_sample_test(x, y, permutations=1, generator=seeded())
    assert_same(found.mmd, expected, terms=(n + m) ** 2, scale=1)


def test_half_the_energy_distance() -> None:
    """Sejdinovic et al., 2013, section 5.1, by distances as scipy has them; in units of the mean distance."""
    x, y = normal(30, 4, 1), normal(20, 4, 2, shift=0.5)
    unit = math.sqrt(2 * torch.cat([x, y]).var(dim=0).sum())
    across, of_x, of_y = (cdist(a.numpy(), b.numpy()).mean() / unit for a, b in ((x, y), (x, x), (y, y)))
    found = two_sample_test(x, y, kernel="energy", permutations=1, generator=seeded())
    # A row's distance to itself is the root of a rounding error; there are as many as rows, among their squares.
    left = math.sqrt(rounding(torch.float64, 4)) / 20
    assert found.mmd == pytest.approx(across - (of_x + of_y) / 2, abs=left)


@pytest.mark.parametrize("name", FAMILIES)
def test_features_have_the_kernel_for_a_product(name: Any) -> None:
    rows = 0.4 * normal(40, 5, 3)
    kernels = family(name)
    expected = torch.stack([kernel.matrix(rows, rows) for kernel in kernels]).mean(dim=0)
    assert_same(expected, expected.T, terms=5)
    whole = nystrom(kernels, rows)(rows.float()).double()
    assert float((whole @ whole.T - expected).abs().max()) < 1e-2, "all rows are landmarks"
    if name in WITHOUT_BANDWIDTH:
        with pytest.raises(ValueError, match=f"kernel '{name}' has no random features: take method 'nystrom'"):
            random_features(kernels, 10, 5, seeded())
        return
    count = 200_000
    drawn = random_features(kernels, count, 5, seeded())(rows.float()).double()
    assert float((drawn @ drawn.T - expected).abs().max()) < 6 / math.sqrt(count), "six standard errors"


@pytest.mark.parametrize("method", ["features", "nystrom"])
def test_means_of_features_are_about_the_mmd(method: Any) -> None:
    x, y = normal(300, 6, 1), normal(200, 6, 2, shift=0.5)
    exact = two_sample_test(x, y, method="exact", permutations=1, generator=seeded())
    about = two_sample_test(x, y, method=method, permutations=1, generator=seeded(), features=4096)
    assert about.mmd == pytest.approx(exact.mmd, rel=0.2)


def test_what_auto_takes() -> None:
    few, many = normal(20, 3, 0), normal(2100, 3, 0).float()
    taken = [
        two_sample_test(x, x, kernel=kernel, permutations=1, generator=seeded()).method
        for x, kernel in ((few, "gaussian"), (few, "energy"), (many, "laplace"), (many, "energy"))
    ]
    assert taken == ["exact", "exact", "features", "nystrom"]


# --- level and power ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.parametrize("grouped", [False, True])
def test_the_level_holds(method: Any, grouped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if grouped:  # groups of three observations, some of them left out
        monkeypatch.setattr(module, "GROUPS", 16)
        monkeypatch.setattr(module, "EXACT_ROWS", 0)
    ps = []
    for seed in range(200):
        x, y = normal(25, 3, 2 * seed), normal(20, 3, 2 * seed + 1)
        ps.append(
            two_sample_test(x, y, method=method, permutations=59, features=40, generator=seeded(9000 + seed)).p_value
        )
    assert sum(p <= 0.05 for p in ps) <= 21  # 10 expected; P(more than 21) = 0.0004
    assert sum(p <= 0.5 for p in ps) >= 70  # 100 expected; fewer would be a test that never finds anything


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_a_shift_is_found(method: Any) -> None:
    found = two_sample_test(
        normal(60, 5, 1), normal(60, 5, 2, shift=0.7), method=method, permutations=199, generator=seeded()
    )
    assert found.p_value <= 2 / 200
    assert found.mmd > found.by_chance > 0
    assert found.method == method


def test_aggregation_finds_what_one_bandwidth_does_not() -> None:
    """A density that is a wave shorter than the mean distance, against a flat one."""
    x = torch.rand(300, 1, generator=seeded(1), dtype=torch.float64)
    y = torch.rand(3000, 1, generator=seeded(2), dtype=torch.float64)
    wave = torch.rand(3000, generator=seeded(3), dtype=torch.float64) < (1 + torch.cos(6 * math.pi * y[:, 0])) / 2
    y = y[wave][:300]
    fine = two_sample_test(x, y, method="agg", permutations=199, generator=seeded())
    coarse = two_sample_test(x, y, method="exact", kernel="polynomial", permutations=199, generator=seeded())
    assert fine.p_value < 0.05 < coarse.p_value


def test_many_rows_are_dealt_out_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUPS", 100)
    x, y = normal(1003, 4, 1), normal(502, 4, 2, shift=0.2)
    found = two_sample_test(x, y, method="features", generator=seeded())
    assert found.left_out == (1003 % 16, 502 % 16)
    assert found.p_value == 1 / 1000
    same = two_sample_test(x, normal(502, 4, 3), method="features", generator=seeded())
    assert same.p_value > 0.05
    lonely = two_sample_test(x, normal(3, 4, 3), method="features", permutations=99, generator=seeded())
    assert 0 < lonely.p_value <= 1
    assert lonely.left_out == (1003 - 97, 0), "all of the three, and evenly spaced ones of the others"


def test_arrays_in_memory_and_in_files(tmp_path: Path) -> None:
    x, y = normal(300, 4, 1).float(), normal(200, 4, 2).float()
    for name, rows in (("x", x), ("y", y)):
        np.save(tmp_path / f"{name}.npy", rows.numpy())
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("x", "y")]
    for method in ("exact", "features", "nystrom"):
        plain = two_sample_test(x, y, method=method, permutations=49, generator=seeded())  # type: ignore[arg-type]
        assert two_sample_test(*mapped, method=method, permutations=49, generator=seeded()) == plain  # type: ignore[arg-type]
    assert cmmd(*mapped) == cmmd(x, y)
    assert cmmd(x.numpy().astype(">f4"), y) == cmmd(x, y), "whatever the order of bytes"
    assert kid(*mapped, subsets=3, subset_size=50, generator=seeded()) == kid(
        x, y, subsets=3, subset_size=50, generator=seeded()
    )


# --- dealing ------------------------------------------------------------------------------------------------


def test_stacked_rows_change_the_dealing_and_not_the_statistic() -> None:
    x, y = normal(12, 4, 1), normal(8, 4, 2)
    one, two = (two_sample_test(x, y, permutations=99, stacked=k, generator=seeded()) for k in (1, 2))
    assert_same(one.mmd, two.mmd, terms=20**2, scale=1)


@pytest.mark.parametrize("stacked", [1, 2])
def test_p_is_uniform_where_both_are_one_distribution(stacked: int) -> None:
    """Row blocks that go together are each other's copies with a little noise: as dependent as can be."""
    ps = []
    for seed in range(500):
        x, y = normal(15, 3, 2 * seed), normal(20, 3, 2 * seed + 1)
        if stacked == 2:
            x, y = torch.cat([x, x + 0.01]), torch.cat([y, y + 0.01])
        ps.append(two_sample_test(x, y, permutations=99, stacked=stacked, generator=seeded(9000 + seed)).p_value)
    assert kstest(ps, "uniform").pvalue > 0.01
    assert sum(p <= 0.05 for p in ps) <= 40  # 25 expected; P(more than 40) = 0.002


def test_dependent_rows_that_are_dealt_out_singly_find_what_is_not_there() -> None:
    """Why `stacked` is there."""
    wrong = 0
    for seed in range(60):
        x, y = normal(15, 3, 2 * seed), normal(20, 3, 2 * seed + 1)
        copies = torch.cat([x] * 4), torch.cat([y] * 4)
        wrong += two_sample_test(*copies, permutations=99, generator=seeded(seed)).p_value <= 0.05
    assert wrong > 15  # 3 expected of a test that holds its level


def test_samples_that_are_the_same_have_p_1() -> None:
    x = normal(10, 3, 1)
    found = two_sample_test(x, x.clone(), permutations=50, generator=seeded())
    assert found.p_value == 1.0
    assert_same(found.mmd, 0, terms=20**2, scale=1)


@pytest.mark.parametrize("method", EVERY_METHOD)
def test_rows_that_all_coincide_have_p_1(method: Any) -> None:
    found = two_sample_test(torch.ones(4, 3), torch.ones(6, 3), method=method, permutations=20, generator=seeded())
    assert found.p_value == 1.0
    assert_same(found.mmd, 0, terms=10**2, scale=1)


def test_the_same_generator_gives_the_same_p_and_float32_about_the_same() -> None:
    x, y = normal(30, 5, 1), normal(30, 5, 2, shift=0.2)
    first, second = (two_sample_test(x, y, generator=seeded(3)) for _ in range(2))
    assert first == second
    single = two_sample_test(x.float(), y.float(), generator=seeded(3))
    near = 2  # of the 999 orders, at most, are no further than rounding from the one there is
    assert single.p_value == pytest.approx(first.p_value, abs=near / 1000)


@pytest.mark.parametrize(
    ("x", "y", "options", "said"),
    [
        (torch.ones(0, 3), torch.ones(2, 3), {}, "x must be"),
        (torch.ones(2, 3), torch.ones(2), {}, "y must be"),
        (torch.ones(2, 3), torch.ones(2, 4), {}, "width 3, and y of 4"),
        (torch.ones(3, 3), torch.ones(2, 3), {"stacked": 2}, "stacked = 2 does not divide the 3 rows of x"),
        (torch.ones(2, 3), torch.ones(2, 3), {"permutations": 0}, "permutations = 0"),
        (torch.full((2, 3), torch.nan), torch.ones(2, 3), {}, "x holds values that are not finite"),
        (torch.ones(2, 3), torch.ones(2, 3), {"method": "best"}, "unknown method 'best' .known: auto, exact"),
        (torch.ones(2, 3), torch.ones(2, 3), {"kernel": "rbf"}, "unknown kernel 'rbf' .known: gaussian"),
        (torch.ones(2, 3), torch.ones(2, 3), {"features": 1}, "features = 1 must be at least 2"),
        (1e200 * torch.eye(3).double(), torch.ones(2, 3), {}, "x and y hold numbers too large"),
    ],
)
def test_what_cannot_be_computed(x: Tensor, y: Tensor, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        two_sample_test(x, y, generator=seeded(), **options)


def test_what_is_no_sample() -> None:
    with pytest.raises(TypeError, match="x must be a torch tensor or a NumPy array, not list"):
        two_sample_test([[1.0]], torch.ones(2, 1), generator=seeded())
    with pytest.raises(TypeError, match="x must be of real numbers, not <U1"):
        two_sample_test(np.array([["a"]]), torch.ones(2, 1), generator=seeded())
    with pytest.raises(TypeError, match="y must be of real numbers, not torch.complex64"):
        two_sample_test(torch.ones(2, 1), torch.ones(2, 1).cfloat(), generator=seeded())


# --- published distances ------------------------------------------------------------------------------------


def test_kid_is_the_unbiased_cubic_mmd_of_subsets() -> None:
    x, y = normal(40, 8, 1).float(), normal(30, 8, 2, shift=0.3).float()
    found = kid(x, y, subsets=7, subset_size=20, generator=seeded())
    generator, values = seeded(), []
    for _ in range(7):
        a, b = (rows[torch.randperm(len(rows), generator=generator)[:20].sort().values].double() for rows in (x, y))
        k = [((u @ v.T) / 8 + 1) ** 3 for u, v in ((a, a), (b, b), (a, b))]
        off = [(m.sum() - m.trace()) / (20 * 19) for m in k[:2]]
        values.append(float(off[0] + off[1] - 2 * k[2].mean()))
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values))
    whole = kid(x[:30], y, subsets=2, subset_size=30, generator=seeded())
    assert whole.std == pytest.approx(0, abs=1e-12), "every subset is the whole sample"
    with pytest.raises(ValueError, match="y has 30 rows, fewer than subset_size = 40"):
        kid(x, y, subset_size=40, generator=seeded())


def test_cmmd_is_the_biased_gaussian_mmd_of_sigma_ten() -> None:
    x, y = normal(50, 8, 1), normal(4200, 8, 2, shift=0.3)
    expected = mk_mmd(x, y, kernel_num=1, sigma=200.0, backend="reference")
    assert cmmd(x, y) == pytest.approx(1000 * float(expected), rel=1e-9)
    assert cmmd(x, x) == pytest.approx(0, abs=1e-9)


# --- where they differ --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_the_mean_of_the_witness_is_the_mmd(name: Any) -> None:
    x, y = normal(30, 4, 1), normal(20, 4, 2, shift=0.5)
    apart = witness(x, y, x, kernel=name).mean() - witness(x, y, y, kernel=name).mean()
    found = two_sample_test(x, y, kernel=name, permutations=1, generator=seeded())
    assert_same(apart, found.mmd, terms=2500, scale=1)


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_that_coincide_lie_at_no_distance(name: Any) -> None:
    rows = normal(40, 100, 1) + 3
    kernel = Kernel(name)
    found = kernel.matrix(rows, rows).diagonal()
    norms = rows.square().sum(dim=1)
    expected = {"energy": norms.sqrt(), "polynomial": (norms / 100 + 1).pow(3)}.get(name, torch.ones(40).double())
    assert_same(found, expected, terms=100 if name == "polynomial" else 1)


def test_drift_names_the_column_and_the_rows_that_moved() -> None:
    reference, batch = normal(300, 6, 1), normal(80, 6, 2)
    calm = drift(reference, batch, permutations=99, generator=seeded())
    assert calm.p_value > 0.05
    batch[:20, 3] += 4
    found = drift(reference, batch, permutations=99, generator=seeded())
    assert found.p_value <= 0.05
    assert int(found.columns[0]) == 3
    assert float(found.shifts[3]) == pytest.approx(1.0, abs=0.4)
    assert len(set(found.rows[:20].tolist()) & set(range(20))) >= 15
    constant = drift(torch.ones(5, 2), torch.tensor([[1.0, 2.0]] * 5), permutations=9, generator=seeded())
    assert constant.shifts.tolist() == [0.0, float("inf")]


def test_kernels_of_one_bandwidth() -> None:
    """Values at a distance of 1, by hand."""
    one = torch.eye(2, dtype=torch.float64)[:, :1]
    expected = {
        "gaussian": math.exp(-0.5),
        "laplace": math.exp(-math.sqrt(0.5)),
        "imq": 1 / math.sqrt(1.5),
        "rational-quadratic": 1 / 1.5,
        "energy": 0.0,
        "polynomial": 1.0,
    }
    for name, value in expected.items():
        assert float(Kernel(name, 2.0).matrix(one, one)[0, 1]) == pytest.approx(value)  # type: ignore[arg-type]
