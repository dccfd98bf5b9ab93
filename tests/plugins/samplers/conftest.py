from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dckt_core.contract.options import parse_options
from dckt_core.contract.protocols import Sampler, SamplerContext
from dckt_plugins.samplers import all_pairs, ap_progressive, class_progressive, self_paced, uniform


@pytest.fixture
def build() -> Callable[..., Sampler]:
    """`build("uniform", alpha=0.5)`: a sampler of the box, options checked as for users."""
    modules = (all_pairs, ap_progressive, class_progressive, self_paced, uniform)
    specs = {spec.name: spec for module in modules for spec in module.dckt_samplers()}

    def build(name: str, *, iterations: int = 10, **options: Any) -> Sampler:
        parsed = parse_options(specs[name], options, where=name)
        return specs[name].build(parsed, SamplerContext(iterations=iterations))

    return build
