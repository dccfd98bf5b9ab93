"""Pictures of what a search found: on a page of its own, and on a terminal."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from dckt_cli import found
from dckt_cli.main import main
from dckt_cli.terminal_pictures import LINES, drawn, kind_of, show

Capture = pytest.CaptureFixture[str]


def jpeg(width: int, height: int) -> bytes:
    """Red above, blue below."""
    picture = Image.new("RGB", (width, height), (255, 0, 0))
    picture.paste((0, 0, 255), (0, height // 2, width, height))
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=95, subsampling=0)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({"TERM": "xterm-256color"}, "blocks"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM_PROGRAM": "iTerm.app", "TERM": "screen-256color"}, "blocks"),
        ({"KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux"}, "blocks"),
        ({}, "blocks"),
    ],
)
def test_what_a_terminal_can(environment: Mapping[str, str], kind: str) -> None:
    assert kind_of(environment) == kind


def test_half_blocks_are_two_pixels_a_letter() -> None:
    lines = drawn(jpeg(96, 48), "blocks").splitlines()
    assert len(lines) == LINES
    assert {line.count("▀") for line in lines} == {4 * LINES}
    for line, (high, low) in ((lines[0], (0, 2)), (lines[-1], (2, 0))):
        for colour in re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48", line):
            assert int(colour[high]) > 240 and int(colour[low]) < 15
        assert line.endswith("\x1b[0m")
    assert drawn(jpeg(2000, 10), "blocks").splitlines()[0].count("▀") <= 8 * LINES


def test_terminals_that_can_get_the_picture_itself() -> None:
    picture = jpeg(64, 64)
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", drawn(picture, "kitty"))
    assert pieces[0][0].startswith("a=T,f=100,") and pieces[-1][0].endswith("m=0")
    sent = Image.open(io.BytesIO(base64.b64decode("".join(content for _, content in pieces))))
    assert (sent.format, sent.size) == ("PNG", (64, 64))
    (content,) = re.findall(r"\x1b\]1337;File=inline=1;[^:]*:(.*)\a", drawn(picture, "iterm"))
    assert base64.b64decode(content) == picture


def test_a_caption_cannot_steer_the_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dckt_cli.terminal_pictures.os.environ", {})
    show([{"rank": 1, "id": "a\x1b[2J", "jpeg": jpeg(8, 8)}, {"rank": 2, "id": "no picture"}])
    *_, caption = capsys.readouterr().out.splitlines()
    assert caption == "1. a\\x1b[2J"


def test_pictures_need_a_terminal(run: str, capsys: Capture) -> None:
    assert main(["search", run, "--text", "red", "--pictures"]) == 2
    assert "--pictures needs a terminal to show them on" in capsys.readouterr().err


def test_a_page_of_what_was_found_opens(run: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(found.webbrowser, "open", lambda address: bool(opened.append(address)))
    line = ["search", run, "--text", "a red <b>yak</b>", "-k", "3", "--insist", "--quiet", "--open"]
    assert main(line) == 0
    (address,) = opened
    file = Path(address.removeprefix("file://"))
    captured = capsys.readouterr()
    assert captured.err == f"{file} (no browser could be opened here)\n"
    page = file.read_text("utf-8")
    assert page.count('<img src="data:image/jpeg;base64,') == 3
    assert "the run does not know: b, yak<" in page
    assert "a red &lt;b&gt;yak&lt;/b&gt;" in page and "<b>" not in page
    assert "http" not in page.replace("http-equiv", ""), "it asks nothing of the network"
    file.unlink()
    file.parent.rmdir()


def test_a_page_is_of_one_query(run: str, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("red\ngreen\n")
    assert main(["search", run, "--batch", str(tmp_path / "queries.txt"), "--open", "--quiet"]) == 2
    assert "--open goes with a single query" in capsys.readouterr().err
