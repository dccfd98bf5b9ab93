"""Features in HDF5, which the extra `hdf5` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dckt_core.base.errors import DataError
from dckt_core.io.feature_files import read_features
from dckt_core.io.feature_kinds import is_features
from tests.support.needs import part

part("h5py")

import h5py

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_rows_and_what_is_known_of_them(tmp_path: Path) -> None:
    file = tmp_path / "set.h5"
    with h5py.File(file, "w") as stored:
        stored["features"] = ROWS
        stored["ids"] = ["a", "b", "c", "d"]
        stored["labels"] = np.array([1, 0, 1, 0])
        stored["other/weights"] = np.ones((2, 2, 2))
    assert is_features(file)
    table = read_features(file)
    assert table.ids == ["a", "b", "c", "d"]
    assert table.facts["label"] == ["1", "0", "1", "0"]
    assert np.array_equal(table.take(slice(None)).numpy(), ROWS)


def test_a_group_is_named_with_a_slash_and_packed_arrays_are_read(tmp_path: Path) -> None:
    file = tmp_path / "set.hdf5"
    with h5py.File(file, "w") as stored:
        stored.create_dataset("clip/images", data=ROWS, compression="gzip")
        stored["clip/texts"] = ROWS[:, :2]
    assert np.array_equal(read_features(file, medium="image").rows, ROWS)
    assert read_features(file, key="clip/texts").dim == 2


def test_nothing_of_another_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(ROWS.tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["rows"] = ROWS
    file = tmp_path / "set.h5"
    with h5py.File(file, "w") as stored:
        stored["linked"] = h5py.ExternalLink("other.h5", "/rows")
        stored["soft"] = h5py.SoftLink("/linked")
        outside = [(str(tmp_path / "secret.bin"), 0, ROWS.nbytes)]
        stored.create_dataset("outside", shape=ROWS.shape, dtype=ROWS.dtype, external=outside)
        layout = h5py.VirtualLayout(shape=ROWS.shape, dtype=ROWS.dtype)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "rows", shape=ROWS.shape)
        stored.create_virtual_dataset("virtual", layout)
    with pytest.raises(DataError, match=r"which array holds the features\? say key=NAME \(it has none\)"):
        read_features(file)


def test_a_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    file = tmp_path / "set.h5"
    with h5py.File(file, "w") as stored:
        stored["features"] = np.ones((500, 50))
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"set\.h5: not a whole file of features: "):
        read_features(file)


def test_a_compressed_array_that_unfolds_to_too_much_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "set.h5"
    with h5py.File(file, "w") as stored:
        stored.create_dataset(
            "features", shape=(2_000_000_000, 100), dtype="f4", chunks=(1000, 100), compression="gzip"
        )
    assert file.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"set\.h5: unpacks to more than the 268,435,456 bytes that are allowed"):
        read_features(file)
