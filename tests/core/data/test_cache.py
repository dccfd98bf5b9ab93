from pathlib import Path

import pytest

from dckt_core.base.errors import UsageError
from dckt_core.data.cache import default_cache_dir


def test_the_nearest_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/someone"))
    assert default_cache_dir({"DCKT_CACHE_DIR": "here", "XDG_CACHE_HOME": "/xdg"}) == Path("here")
    assert default_cache_dir({"XDG_CACHE_HOME": "/xdg"}) == Path("/xdg/dckt")
    assert default_cache_dir({"XDG_CACHE_HOME": "relative"}) == Path("/home/someone/.cache/dckt")
    assert default_cache_dir({"DCKT_CACHE_DIR": ""}) == Path("/home/someone/.cache/dckt")


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UsageError, match="DCKT_CACHE_DIR"):
        default_cache_dir({})
