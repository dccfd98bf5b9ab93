from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dckt_core.contract.discovery import discover
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import ImageItem, Medium, TextItem
from dckt_core.contract.protocols import Encoder, EncoderContext

Build = Callable[..., Encoder]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`build("vgg19", seed=1, weights="none")`: an encoder of the box, its options checked as a user's are."""
    cache_dir, registry = tmp_path_factory.mktemp("cache"), discover(plugins=False)

    def build(
        name: str,
        *,
        seed: int = 0,
        texts: Sequence[str] = (),
        state: Mapping[str, Any] | None = None,
        medium: Medium | None = None,
        shared: dict[Any, Any] | None = None,
        **options: Any,
    ) -> Encoder:
        spec = registry.find("encoder", name).spec
        parsed = parse_options(spec, options, where=f"encoder '{name}'")
        said = EncoderContext(
            seed=seed,
            cache_dir=cache_dir,
            texts=texts,
            state=state,
            medium=medium,
            shared={} if shared is None else shared,
        )
        return spec.build(parsed, said)

    return build


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[ImageItem]:
    """Three pictures of noise: wide, high and square."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    items = []
    for n, (width, height) in enumerate([(50, 37), (33, 64), (40, 40)]):
        path = folder / f"{n}.png"
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
        items.append(ImageItem(f"picture-{n}", path))
    return items


@pytest.fixture
def texts() -> list[TextItem]:
    """A caption, a short one, two in other scripts, one of emoji alone, and an empty one."""
    lines = ["Two dogs run along the beach.", "Dogs", "犬が海辺を走る", "كلبان يركضان على الشاطئ", "🐶🐶🌊", ""]
    return [TextItem(f"text-{n}", line) for n, line in enumerate(lines)]
