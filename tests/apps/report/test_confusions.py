from __future__ import annotations

import torch

from dckt_apps.report.confusions import largest_confusions


def test_largest_confusions_leave_out_the_diagonal_and_nothing() -> None:
    matrix = torch.tensor([[0.7, 0.3, 0.0], [0.1, 0.9, 0.0], [0.3, 0.0, 0.7]], dtype=torch.float64)
    assert largest_confusions(matrix, 9) == [(0, 1, 0.3), (2, 0, 0.3), (1, 0, 0.1)]
    assert largest_confusions(matrix, 1) == [(0, 1, 0.3)]
