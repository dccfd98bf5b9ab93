from __future__ import annotations

import pytest
import torch

from dckt_core.training.scoring import clearly_higher


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([0.1, 0.1, 0.1, 0.1], True),
        ([0.3, -0.1, 0.3, -0.1], False),  # mean 0.1, standard error 0.115
        ([0.3, 0.1, 0.3, 0.1], True),  # mean 0.2, standard error 0.058
        ([0.3, 0.05, 0.3, 0.05], False),  # mean 0.175, standard error 0.072
        ([0.0, 0.0, 0.0, 0.0], False),
        ([-0.1, -0.1, -0.1, -0.1], False),
        ([0.5], False),  # one pair has no standard error
    ],
)
def test_more_than_three_standard_errors_are_clear(gains: list[float], expected: bool) -> None:
    others = torch.full((len(gains), 2), 0.4, dtype=torch.float64)
    aps = others + torch.tensor([[2 * gain, 0.0] for gain in gains], dtype=torch.float64)
    assert clearly_higher(aps, others) is expected
