from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from dckt_kernels import mk_mmd, permutation_test
from tests.support.tolerance import assert_same


def normal(rows: int, width: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (7, 3), (1, 4), (600, 20)])
@pytest.mark.parametrize("kernels", [(5, 2.0), (1, 2.0), (4, 3.0)])
def test_the_statistic_is_the_biased_mmd(n: int, m: int, kernels: tuple[int, float]) -> None:
    x, y = normal(n, 6, 1), normal(m, 6, 2, shift=0.5)
    num, mul = kernels
    expected = mk_mmd(x, y, kernel_num=num, kernel_mul=mul, backend="reference")
    found = permutation_test(x, y, permutations=1, kernel_num=num, kernel_mul=mul, generator=seeded())
    assert_same(found.mmd, expected, terms=(n + m) ** 2, scale=1)


def test_stacked_rows_change_the_dealing_and_not_the_statistic() -> None:
    x, y = normal(12, 4, 1), normal(8, 4, 2)
    one, two = (permutation_test(x, y, permutations=99, stacked=k, generator=seeded()) for k in (1, 2))
    assert_same(one.mmd, two.mmd, terms=20**2, scale=1)


@pytest.mark.parametrize("stacked", [1, 2])
def test_p_is_uniform_where_both_are_one_distribution(stacked: int) -> None:
    """Row blocks that go together are each other's copies with a little noise: as dependent as can be."""
    ps = []
    for seed in range(500):
        x, y = normal(15, 3, 2 * seed), normal(20, 3, 2 * seed + 1)
        if stacked == 2:
            x, y = torch.cat([x, x + 0.01]), torch.cat([y, y + 0.01])
        ps.append(permutation_test(x, y, permutations=99, stacked=stacked, generator=seeded(9000 + seed)).p_value)
    assert kstest(ps, "uniform").pvalue > 0.01
    assert sum(p <= 0.05 for p in ps) <= 40  # 25 expected; P(more than 40) = 0.002


def test_dependent_rows_that_are_dealt_out_singly_find_what_is_not_there() -> None:
    """Why `stacked` is there."""
    wrong = 0
    for seed in range(60):
        x, y = normal(15, 3, 2 * seed), normal(20, 3, 2 * seed + 1)
        copies = torch.cat([x] * 4), torch.cat([y] * 4)
        wrong += permutation_test(*copies, permutations=99, generator=seeded(seed)).p_value <= 0.05
    assert wrong > 15  # 3 expected of a test that holds its level


def test_a_shift_is_found() -> None:
    found = permutation_test(normal(60, 5, 1), normal(60, 5, 2, shift=0.7), permutations=199, generator=seeded())
    assert found.p_value == 1 / 200


def test_samples_that_are_the_same_have_p_1() -> None:
    x = normal(10, 3, 1)
    found = permutation_test(x, x.clone(), permutations=50, generator=seeded())
    assert found.p_value == 1.0
    assert_same(found.mmd, 0, terms=20**2, scale=1)


def test_rows_that_all_coincide_have_p_1() -> None:
    found = permutation_test(torch.ones(4, 3), torch.ones(6, 3), permutations=20, generator=seeded())
    assert found.p_value == 1.0
    assert_same(found.mmd, 0, terms=10**2, scale=1)


def test_the_same_generator_gives_the_same_p_and_float32_about_the_same() -> None:
    x, y = normal(30, 5, 1), normal(30, 5, 2, shift=0.2)
    first, second = (permutation_test(x, y, generator=seeded(3)) for _ in range(2))
    assert first == second
    single = permutation_test(x.float(), y.float(), generator=seeded(3))
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
        (torch.ones(2, 3), torch.ones(2, 3), {"kernel_num": 0}, "kernel_num = 0"),
    ],
)
def test_what_cannot_be_computed(x: Tensor, y: Tensor, options: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        permutation_test(x, y, generator=seeded(), **options)  # type: ignore[arg-type]
