"""Parts that a machine may lack: the packages of extras, a browser. What needs an absent one is skipped and counted.

tests/conftest.py says in one line what was left out; where CI is set, a run that left anything out is red.
"""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

ABSENT = "absent: "


def part(module: str) -> Any:
    """The module of an extra; without it, the test or the whole file that asks is skipped."""
    return pytest.importorskip(module, reason=ABSENT + module.partition(".")[0])


def absent(name: str) -> NoReturn:
    """Skips for want of a part that is no module."""
    pytest.skip(ABSENT + name)
