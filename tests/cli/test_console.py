import pytest

from dckt_cli import console
from dckt_cli.console import PlainLines, pace


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
