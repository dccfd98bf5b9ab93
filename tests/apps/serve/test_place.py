from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.needs import part

part("fastapi")

from dckt_apps.serve.place import names_of


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["runs/one"], ["one"]),
        (["runs/one", "runs/two"], ["one", "two"]),
        (["a/index", "b/index", "c"], ["a/index", "b/index", "c"]),
        (["runs/one", "runs/one"], ["one", "one (2)"]),
        (["/x/one", "/x/one", "/y/one"], ["x/one", "x/one (2)", "y/one"]),
        (["/a", "/b/a"], ["/a", "b/a"]),
    ],
)
def test_runs_have_the_shortest_names_that_tell_them_apart(paths: list[str], names: list[str]) -> None:
    assert names_of([Path(path) for path in paths]) == names
