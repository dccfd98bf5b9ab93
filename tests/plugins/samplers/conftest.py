from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dckt_core.contract.options import parse_options
from dckt_core.contract.protocols import Sampler, SamplerContext
from tests.support import box


@pytest.fixture
def build() -> Callable[..., Sampler]:
    """`build("uniform", alpha=0.5)`: a sampler of the box, options checked as for users."""

    def build(name: str, *, iterations: int = 10, **options: Any) -> Sampler:
        spec = box.spec("sampler", name)
        parsed = parse_options(spec, options, where=name)
        return spec.build(parsed, SamplerContext(iterations=iterations))

    return build
