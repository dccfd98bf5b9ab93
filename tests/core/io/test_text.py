import io
import os
from pathlib import Path

import pytest

from dckt_core.io.text import MAX_LINE_BYTES, check_inside, decode_line, numbered_lines, read_text, shown


def test_lines_keep_their_numbers() -> None:
    content = b"\xef\xbb\xbfone\r\n\n  \ntwo \nthree"
    assert list(numbered_lines(io.BytesIO(content))) == [(1, b"one"), (4, b"two "), (5, b"three")]


def test_a_line_that_is_too_long_is_left_out_and_the_next_is_read() -> None:
    whole, longer = b"x" * MAX_LINE_BYTES, b"x" * (3 * MAX_LINE_BYTES)
    stream = io.BytesIO(b"\n".join([whole, longer, b"end"]))
    assert list(numbered_lines(stream)) == [(1, whole), (2, None), (3, b"end")]


@pytest.mark.parametrize(
    ("line", "said"), [(None, "longer than 1048576 bytes"), (b"ab\xff", "not UTF-8: byte 3 of the line is 0xff")]
)
def test_a_line_that_is_no_text(line: bytes | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode_line(line)


def test_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf caf\xc3\xa9\r\n")
    assert read_text(tmp_path / "a.txt") == "café"
    (tmp_path / "b.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="not UTF-8: byte 1 is 0xff"):
        read_text(tmp_path / "b.txt")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no file"):
        read_text(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/etc/hostname", "is not a relative path"),
        ("C:\\a.png", "is not a relative path"),
        ("\\\\host\\a.png", "is not a relative path"),
        ("b/../a.png", "holds '..'"),
        ("b\\..\\a.png", "holds '..'"),
        ("a\0.png", "holds a NUL character"),
        ("out.png", "leaves the folder through a symbolic link"),
        ("b", "no such file"),
        ("gone.png", "no such file"),
        ("x" * 5000, "no such file"),
    ],
)
def test_a_path_that_leads_to_no_file_of_the_folder(tmp_path: Path, path: str, said: str) -> None:
    folder = tmp_path / "set"
    (folder / "b").mkdir(parents=True)
    (folder / "a.png").touch()
    (tmp_path / "secret.png").touch()
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (folder / "in.png").symlink_to(folder / "a.png")
    root = os.path.realpath(folder)
    for good in ("a.png", "./a.png", "in.png"):
        check_inside(root, good, "image")
    with pytest.raises(ValueError, match=r"^image '") as caught:
        check_inside(root, path, "image")
    assert said in str(caught.value)


def test_what_is_shown_is_one_short_line() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown("x" * 5000)) < 70
