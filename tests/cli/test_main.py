import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from dckt_cli import main as shell
from dckt_cli.main import COMMANDS, cli, main
from dckt_core import __version__
from dckt_core.base.errors import DataError, DivergedError, PluginError, UsageError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], None]:
    """Puts a subcommand `act` in place that raises what it is given."""

    def put(error: BaseException | None) -> None:
        @click.command()
        @click.option("--count", type=int)
        def act(count: int | None) -> None:
            if error is not None:
                raise error
            click.echo("done")

        monkeypatch.setattr(shell, "act", act, raising=False)
        monkeypatch.setitem(COMMANDS, "act", ("dckt_cli.main:act", "For this test."))

    return put


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("unknown key"), 2, "dckt: error: unknown key"),
        (DataError("a.png: truncated"), 3, "dckt: error: a.png: truncated"),
        (DivergedError("loss is nan"), 4, "dckt: error: loss is nan"),
        (PluginError("sampler 'x' of y\nis bad"), 1, r"dckt: error: sampler 'x' of y\nis bad"),
        (click.BadParameter("no such\nthing"), 2, "dckt: error: Invalid value: no such thing (see dckt act --help)"),
        (click.ClickException("hm"), 1, "dckt: error: hm"),
        (PermissionError(13, "Permission denied", "a/b"), 1, "dckt: error: a/b: Permission denied"),
        (OSError(28, "No space left on device"), 1, "dckt: error: output: No space left on device"),
        (MemoryError("3 TB"), 1, "dckt: error: out of memory: 3 TB"),
        (KeyboardInterrupt(), 130, "dckt: interrupted"),
        (click.Abort(), 130, "dckt: interrupted"),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    line: str,
    command: Callable[[BaseException | None], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(error)
    assert main(["act"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.strip() == line


@pytest.mark.parametrize(("to", "code", "said"), [(">&-", 0, ""), (">/dev/full", 1, "No space left on device")])
def test_an_output_that_takes_nothing(to: str, code: int, said: str) -> None:
    command = f"{sys.executable} -m dckt_cli plugins list {to}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unforeseen_error_is_one_line_unless_debug(
    command: Callable[[BaseException | None], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(ZeroDivisionError("by\nzero"))
    assert main(["act"]) == 1
    line = capsys.readouterr().err
    assert line.startswith("dckt: error: ZeroDivisionError: by zero (")
    assert "dckt --debug" in line
    assert line.count("\n") == 1
    assert main(["--debug", "act"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_debug_shows_the_cause_of_an_error(
    command: Callable[[BaseException | None], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = PluginError("sampler 'x' of y raised KeyError")
    error.__cause__ = KeyError("the cause")
    command(error)
    monkeypatch.setenv("DCKT_DEBUG", "1")
    assert main(["act"]) == 1
    assert "the cause" in capsys.readouterr().err


def test_success(command: Callable[[BaseException | None], None], capsys: pytest.CaptureFixture[str]) -> None:
    command(None)
    assert main(["act"]) == 0
    assert capsys.readouterr().out == "done\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["trian"], "no command 'trian': did you mean 'train'? (known: "),
        (["act", "--cuont", "1"], "--cuont"),
        (["act", "--count", "x"], "'x' is not a valid integer"),
        (["act", "more"], "Got unexpected extra argument"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    args: list[str],
    said: str,
    command: Callable[[BaseException | None], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(None)
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("dckt: error: ")
    assert said.lower().replace("'", "") in captured.err.lower().replace("'", "")
    assert captured.err.count("\n") == 1


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dckt {__version__}\n"


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 0
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in said


def commands() -> list[str]:
    return list(COMMANDS)


@pytest.mark.parametrize("name", commands())
def test_the_table_of_commands_is_true(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.help, f"{name} has no help"


def test_no_plugins_reaches_the_registry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    from dckt_core.contract import discovery as plugins

    def load_registry(*, plugins: bool) -> object:
        seen.append(plugins)
        return empty

    empty = plugins.Registry()
    monkeypatch.setattr(plugins, "load_registry", load_registry)
    assert main(["plugins"]) == 0
    assert main(["--no-plugins", "plugins"]) == 0
    assert seen == [True, False]
    capsys.readouterr()


@pytest.mark.parametrize("args", [["plugins", "list"], ["--help"]])
def test_a_reader_that_goes_away_gets_no_traceback(args: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "dckt_cli", *args]
    environment = os.environ | {"DCKT_LOAD_PLUGINS": ""}
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    os.close(writing)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_the_module_has_the_exit_codes_of_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dckt_cli", "no-such-command"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
