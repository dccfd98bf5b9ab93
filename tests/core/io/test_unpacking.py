"""Files that claim or hold far more than anybody's data stop at a stated limit, before memory is filled."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dckt_core.base.errors import DataError, UsageError
from dckt_core.io import arrays
from dckt_core.io.feature_files import read_features
from dckt_core.io.unpacking import ALWAYS, RATIO, VARIABLE, Unpacked
from dckt_plugins.encoders.vector_files import read_vectors


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the arrays that are read."""
    sizes: list[int] = []
    read = np.lib.format.read_array

    def spy(stream, **options):
        array = read(stream, **options)
        sizes.append(array.nbytes)
        return array

    monkeypatch.setattr(arrays.np.lib.format, "read_array", spy)
    return sizes


def test_a_small_file_may_unpack_to_much_and_a_large_one_to_a_multiple(tmp_path: Path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1000)
    assert Unpacked(file).limit == ALWAYS
    with file.open("r+b") as stream:
        stream.truncate(ALWAYS)
    assert Unpacked(file).limit == RATIO * ALWAYS


def test_of_an_npz_only_what_is_asked_for_is_read(tmp_path, loaded):
    file = tmp_path / "f.npz"
    np.savez_compressed(file, image=np.ones((3, 4)), text=np.ones((3, 2)), other=np.zeros((1000, 1000)))

    table = read_features(file, key="image")

    assert table.rows.tolist() == np.ones((3, 4)).tolist()
    assert loaded == [3 * 4 * 8]


def test_an_npz_stops_at_the_limit(tmp_path, monkeypatch, loaded):
    file = tmp_path / "f.npz"
    np.savez_compressed(file, image=np.zeros((1000, 100)), text=np.zeros((10, 3)))
    monkeypatch.setenv(VARIABLE, "10000")

    with pytest.raises(DataError, match=r"f\.npz: unpacks to more than the 10,000 bytes that are allowed") as caught:
        read_features(file, medium="image")

    assert VARIABLE in str(caught.value)
    assert not loaded, "it is known before it is read"
    assert read_features(file, medium="text").dim == 3


def test_an_npz_whose_array_claims_more_than_there_is(tmp_path, loaded):
    file = tmp_path / "f.npz"
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 512)}
    with zipfile.ZipFile(file, "w") as archive, archive.open("image.npy", "w") as stream:
        np.lib.format.write_array_header_2_0(stream, header)
        stream.write(bytes(800))

    with pytest.raises(DataError, match=r"'image\.npy' holds less than its header says"):
        read_features(file)

    assert not loaded


def test_a_mat_stops_at_the_limit(tmp_path, monkeypatch):
    from scipy.io import savemat

    file = tmp_path / "f.mat"
    savemat(file, {"image": np.zeros((1000, 100)), "text": np.ones((5, 3))}, do_compression=True)
    monkeypatch.setenv(VARIABLE, "10000")

    with pytest.raises(DataError, match=r"unpacks to more than the 10,000 bytes"):
        read_features(file, medium="image")
    assert read_features(file, medium="text").rows.shape == (5, 3)


def test_parquet_stops_at_the_limit(tmp_path, monkeypatch):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "f.parquet"
    pq.write_table(pa.table({"image": [[0.0] * 100] * 1000}), file)
    monkeypatch.setenv(VARIABLE, "10000")

    with pytest.raises(DataError, match=r"unpacks to more than the 10,000 bytes"):
        read_features(file)


@pytest.mark.parametrize("said", ["", "no", "0", "-1", "1.5"])
def test_the_variable_is_checked(tmp_path, monkeypatch, said):
    file = tmp_path / "f.npz"
    np.savez(file, image=np.ones((2, 2)))
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(UsageError, match=VARIABLE):
        read_features(file)


def test_packed_word_vectors_stop_at_the_limit(tmp_path, monkeypatch):
    file = tmp_path / "v.txt.gz"
    file.write_bytes(gzip.compress(b"dog 1 2 3\n" + b"filler 0 0 0\n" * 100_000))
    plain = tmp_path / "v.txt"
    plain.write_bytes(gzip.decompress(file.read_bytes()))
    monkeypatch.setenv(VARIABLE, "200000")

    with pytest.raises(DataError, match=r"v\.txt\.gz: unpacks to more than the 200,000 bytes"):
        read_vectors(file, {"dog"})
    assert read_vectors(plain, {"dog"})[0] == ["dog"], "nothing is unpacked"
    monkeypatch.delenv(VARIABLE)
    assert read_vectors(file, {"dog"})[0] == ["dog"]
