import json
from pathlib import Path

import pytest

from dckt_core.base.errors import UsageError
from dckt_core.contract.protocols import DatasetContext
from dckt_core.contract.specs import NoOptions
from tests.support import box


def test_detects_folders_and_files_and_loads_them(tmp_path: Path) -> None:
    spec = box.spec("dataset", "jsonl")
    assert not spec.detect(tmp_path)
    (tmp_path / "a.png").write_bytes(b"")
    row = {"image": "a.png", "text": "", "label": "a", "split": "train"}
    for name in ("pairs.jsonl", "others.jsonl"):
        (tmp_path / name).write_text(json.dumps(row))
    assert not spec.detect(tmp_path / "a.png")
    assert not spec.detect(tmp_path / "gone.jsonl")
    context = DatasetContext(cache_dir=tmp_path)
    for location in (tmp_path, tmp_path / "others.jsonl"):
        assert spec.detect(location)
        assert [pair.label for pair in spec.load(location, NoOptions(), context).pairs] == ["a"]


def test_needs_a_path(tmp_path: Path) -> None:
    spec = box.spec("dataset", "jsonl")
    with pytest.raises(UsageError, match="needs a path"):
        spec.load(None, NoOptions(), DatasetContext(cache_dir=tmp_path))
