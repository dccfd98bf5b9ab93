"""A training that was stopped anywhere and went on ends bit for bit as one that never was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dckt_core.base.errors import DataError
from dckt_core.engine.snapshot import KIND, SUFFIX, Snapshot, SnapshotFolder, load_snapshot
from dckt_core.io.tensors import save_tensors
from tests.support.trainings import differences, ending, stopped_at, trainer

UPDATES = 6 + 4 + 2 * 5


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return ending(trainer()[0])


@pytest.mark.parametrize("update", range(1, UPDATES + 1))
def test_stopped_after_any_update_it_ends_the_same(update, whole, tmp_path):
    made, *_ = trainer()
    made.restore(stopped_at(update, tmp_path))
    assert differences(whole, ending(made)) == []


@pytest.mark.parametrize(
    "lost",
    [
        "generator/transfer target",
        "generator/selection",
        "discrepancy/generator",
        "momentum/target/0",
        "stream/source/pending",
    ],
)
def test_the_comparison_would_notice_what_is_lost(lost, whole, tmp_path):
    snapshot = stopped_at(12, tmp_path)
    replaced = dict(snapshot.tensors)
    if lost.startswith(("generator", "discrepancy")):
        replaced[lost] = torch.Generator().manual_seed(99).get_state()
    elif lost.startswith("stream"):
        replaced[lost] = replaced[lost][:0]
    else:
        replaced[lost] = torch.zeros_like(replaced[lost])
    made, *_ = trainer()
    made.restore(Snapshot(replaced, snapshot.facts))
    assert differences(whole, ending(made))


def test_a_sampler_that_forgets_would_be_noticed(whole, tmp_path):
    snapshot = stopped_at(12, tmp_path)
    made, *_ = trainer()
    made.restore(Snapshot(snapshot.tensors, {**snapshot.facts, "sampler": {"asked": 0}}))
    assert differences(whole, ending(made))


def test_without_control_and_from_the_source_start(tmp_path):
    changes = {"transfer__control": False, "network__target_init": "source"}
    expected = ending(trainer(**changes)[0])
    made, *_ = trainer(**changes)
    made.restore(stopped_at(13, tmp_path, **changes))
    assert differences(expected, ending(made)) == []


def test_with_statistics_that_both_domains_share(tmp_path):
    changes = {"network__batch_norm": "shared"}
    whole, *_ = trainer(**changes)
    resumed, *_ = trainer(**changes)
    resumed.restore(stopped_at(15, tmp_path, **changes))
    assert differences(ending(whole), ending(resumed)) == []


def test_a_snapshot_of_another_configuration_is_refused(tmp_path):
    snapshot = stopped_at(12, tmp_path)
    made, *_ = trainer(network__media_width=8)
    with pytest.raises(DataError, match="another configuration"):
        made.restore(snapshot)


def test_minutes_of_zero_keep_a_snapshot_after_every_update():
    made, kept, _ = trainer(checkpoint_minutes=0)
    made.run()
    assert len(kept) == UPDATES


def test_the_folder_keeps_the_last_few_and_sweeps_what_a_killed_writer_left(tmp_path):
    (tmp_path / ".000001.state.safetensors.x.tmp").write_bytes(b"torn")
    folder = SnapshotFolder(tmp_path, keep=2)
    assert list(tmp_path.iterdir()) == []
    assert folder.latest() is None
    for number in range(4):
        folder.save(Snapshot({"t": torch.tensor(number)}, {"number": number}))
    assert [file.name for file in folder.files()] == [f"00000{n}{SUFFIX}" for n in (3, 4)]
    latest = folder.latest()
    assert latest is not None
    assert latest.facts == {"number": 3}
    assert int(latest.tensors["t"]) == 3
    folder.clear()
    assert list(tmp_path.iterdir()) == []


def test_where_the_newest_is_broken_the_one_before_is_taken(tmp_path, caplog):
    folder = SnapshotFolder(tmp_path, keep=3)
    paths = [folder.save(Snapshot({"t": torch.tensor(number)}, {"number": number})) for number in range(3)]
    (tmp_path / f"notes{SUFFIX}").write_bytes(b"somebody's own")
    paths[2].write_bytes(paths[2].read_bytes()[:-1])
    latest = folder.latest()
    assert latest is not None
    assert latest.facts == {"number": 1}
    assert [str(paths[2]) in record.getMessage() for record in caplog.records] == [True]
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(DataError, match="000003"):
        folder.latest()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-7]), "not a whole checkpoint"),
        (lambda path: path.write_bytes(b""), "not a whole checkpoint"),
        (lambda path: path.write_bytes(b"\xff" * 64), "not a whole checkpoint"),
        (lambda path: save_tensors(path, load_file(path), kind=KIND, format=0), "format 0, and this dckt reads 1"),
        (lambda path: save_file(load_file(path), path), "not a whole checkpoint"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "its checksum does not fit"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"number", b"numbre")), "its checksum does not fit"),
    ],
)
def test_a_spoilt_file_is_one_clear_error(spoil, message, tmp_path):
    path = tmp_path / "one"
    Snapshot({"t": torch.ones(3)}, {"number": 1}).save(path)
    spoil(path)
    with pytest.raises(DataError, match=message) as caught:
        load_snapshot(path)
    assert str(path) in str(caught.value)
