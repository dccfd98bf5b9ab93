from __future__ import annotations

import torch

from dckt_apps.report.drawings import domain_maps
from dckt_apps.report.gather import DomainMap


def test_a_map_that_would_be_drawn_twice_is_drawn_once() -> None:
    source, before, after = (torch.rand(8, 2, generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    assert list(domain_maps(DomainMap(source, before, after, (0.5, 0.2)))) == ["before transfer", "after transfer"]
    assert list(domain_maps(DomainMap(source, before, before, (0.5, 0.2)))) == ["before and after transfer"]
