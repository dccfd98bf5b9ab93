"""The plugins in the box, as the registry finds them."""

from __future__ import annotations

from functools import cache
from typing import Any

from dckt_core.contract.discovery import Registry, discover


@cache
def registry() -> Registry:
    return discover(plugins=False)


def spec(kind: str, name: str) -> Any:
    """`spec("dataset", "jsonl")`; its options' defaults are checked."""
    return registry().find(kind, name).spec
