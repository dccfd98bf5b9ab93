import io
import json
import logging

import pytest
from rich.console import Console
from rich.table import Table

from dckt_cli import console
from dckt_cli.console import PlainLines, pace
from dckt_cli.screen import Screen


@pytest.mark.parametrize(
    ("done", "seconds", "left", "said"),
    [
        (300, 10.0, 900, ", 30/s, 0:00:30 left"),
        (5, 20.0, 5, ", 0.25/s, 0:00:20 left"),
        (100, 10.0, 0, ", 10/s"),
        (0, 10.0, 100, ""),
        (10, 0.1, 5, ""),
    ],
)
def test_rate_and_time_left(done: int, seconds: float, left: int, said: str) -> None:
    assert pace(done, seconds, left) == said


def test_plain_lines_count_from_where_the_work_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    lines = PlainLines()
    for moment, done in ((100.0, 600), (105.0, 650), (112.0, 720), (130.0, 1000)):
        now = moment
        lines(done, 1000, "reading")
    assert capsys.readouterr().err.splitlines() == [
        "reading: 720/1000, 10/s, 0:00:28 left",
        "reading: 1000/1000, 13.3/s",
    ]


def test_a_second_step_of_the_same_name_is_timed_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    lines = PlainLines()
    for moment, done in ((100.0, 0), (110.0, 100), (500.0, 0), (505.0, 100)):
        now = moment
        lines(done, 100, "encoding")
    assert capsys.readouterr().err.splitlines() == ["encoding: 100/100, 10/s", "encoding: 100/100, 20/s"]


def terminal(width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def test_bars_on_a_terminal_say_how_long_it_took_and_start_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    screen = terminal()
    monkeypatch.setattr(screen, "get_time", lambda: now)
    with console._bars(screen) as progress:
        for moment, done in ((100.0, 0), (110.0, 100), (500.0, 0), (505.0, 100)):
            now = moment
            progress(done, 100, "encoding")
    last = [line for line in screen.file.getvalue().splitlines() if "encoding" in line][-1]  # type: ignore[attr-defined]
    assert "100/100" in last
    assert "in 0:00:05, 20/s" in last


def test_log_lines_are_not_broken_in_two() -> None:
    screen = terminal(width=20)
    line = "go on with: dckt train --resume runs/a-run-with-a-name [not markup]"
    console._AboveBars(screen).emit(logging.makeLogRecord({"msg": line}))
    assert screen.file.getvalue() == f"{line}\n"  # type: ignore[attr-defined]


ROWS = [["1", "photos/a-name-that-is-long/[red]picture[/red].png"], ["10", "steer \x1b[2J\x07 :smile:\nthe terminal"]]


def test_a_table_on_a_terminal_keeps_every_word_and_what_looks_like_markup() -> None:
    file = io.StringIO()
    table = Table("rank", "image")
    for row in ROWS:
        table.add_row(*row)
    Screen(file=file, force_terminal=True, width=30, color_system=None).print(table)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 30
    cells = "".join(line.split("│")[2].strip() for line in lines if line.count("│") == 3)
    assert cells.startswith("photos/a-name-that-is-long/[red]picture[/red].png")
    assert "…" not in file.getvalue()
    assert not {"\x1b", "\x07"} & set(file.getvalue())
    assert ":smile:" in file.getvalue()


def test_lines_on_a_screen_are_not_wrapped_and_steer_nothing() -> None:
    file = io.StringIO()
    screen = Screen(file=file, force_terminal=True, width=20, color_system=None)
    screen.print("next: dckt report runs/[bold]a \x1b[31m name")
    assert file.getvalue() == "next: dckt report runs/[bold]a \\x1b[31m name\n"


def test_elsewhere_a_table_is_plain_columns(capsys: pytest.CaptureFixture[str]) -> None:
    expected = [
        "rank  image",
        "   1  photos/a-name-that-is-long/[red]picture[/red].png",
        r"  10  steer \x1b[2J\x07 :smile:\nthe terminal",
    ]
    console.show_table(["rank", "image"], ROWS, right=["rank"])
    assert capsys.readouterr().out.splitlines() == expected
    table = Table("image", title="title")
    table.add_column("rank", justify="right")
    for rank, image in ROWS:
        table.add_row(image, rank)
    Screen().print(table)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "title",
        "image                                              rank",
        "photos/a-name-that-is-long/[red]picture[/red].png     1",
        r"steer \x1b[2J\x07 :smile:\nthe terminal              10",
    ]


def test_log_lines_of_strangers_steer_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord({"msg": "photos/\x1b[2Jodd\nname.png: no picture", "levelno": logging.WARNING})
    screen = terminal()
    console._AboveBars(screen).handle(record)
    console._Lines().handle(record)
    expected = "photos/\\x1b[2Jodd\\nname.png: no picture\n"
    assert screen.file.getvalue() == capsys.readouterr().err == expected  # type: ignore[attr-defined]


def test_json_means_the_same_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"id": "a\x1b[2J\x9b\u202e\u2028\x7f\ud800 \U000e0041", "犬": ["naïve", 1.5, None]}
    console.say_json(value, indent=2)
    said = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert "犬" in said
    assert json.loads(said) == value
