from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dckt_apps.report.material import Missing, attempt
from dckt_apps.report.outcome import outcome
from dckt_apps.report.setup import setup
from dckt_core.data.findings import Finding
from dckt_core.runs.record import read_run
from dckt_core.runs.seal import seal_run

CONFIG = 'seed = 7\npreset = "paper"\n[source]\nlocation = "big"\n[encoder]\nname = "vgg19"\nsize = 48\n'


def test_it_tells_what_was_run(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    summary = {
        "target": {"origin": "small", "classes": 3, "train": 9, "val": 4, "test": 5},
        "dropped": {"source": 0, "target": 2},
        "seconds": 4000,
        "health": {
            "source": [Finding("a", "told", 1, 2, grave=False).as_json()],
            "target": [Finding("b", "<i>grave</i>", 1, 2, ("'x'",)).as_json(), {"kind": 3}, 7],
        },
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "model.json").write_text(json.dumps({"classes": {"source": ["a", "b"], "target": ["c"]}}))
    (tmp_path / "env.json").write_text(json.dumps({"packages": {"torch": "2.9"}, "cpus": 2, "accelerator": None}))
    seal_run(tmp_path)
    found = setup(read_run(tmp_path))
    source, target = found.data
    assert (source.origin, source.classes, source.train, source.dropped) == ("big", 2, None, 0)
    assert (target.origin, target.classes, target.train, target.val, target.test) == ("small", 3, 9, 4, 5)
    assert target.dropped == 2
    assert found.facts == {"preset": "paper", "encoder": "vgg19", "seed": "7", "training time": "1 h 7 min"}
    assert found.settings == {
        "": {"seed": "7", "preset": "paper"},
        "source": {"location": "big"},
        "encoder": {"name": "vgg19", "size": "48"},
    }
    assert found.versions == {"torch": "2.9", "cpus": "2"}
    assert [(role, str(one)) for role, one in found.health] == [("target", "<i>grave</i> ('x')"), ("source", "told")]


NAMES = (
    "test",
    "map",
    "after",
    "mean",
    "value",
    "interval",
    "gain",
    "target",
    "classes",
    "packages",
    "left_out",
    "seed",
)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
TABLES = st.dictionaries(st.sampled_from((*NAMES, "validation", "dropped", "source", "seconds")), JSON, max_size=5)


@pytest.mark.parametrize("name", ["summary.json", "env.json", "model.json"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=TABLES)
def test_whatever_a_file_says_is_told_or_refused(tmp_path: Path, name: str, table: dict[str, Any]) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / name).write_text(json.dumps(table))
    seal_run(tmp_path)
    record = read_run(tmp_path)
    for tell in (setup, outcome):
        told = attempt(lambda tell=tell: tell(record))  # passes on whatever is no DcktError
        assert not isinstance(told, Missing) or "\n" not in told.reason
