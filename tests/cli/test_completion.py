from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dckt_cli.app import App
from dckt_cli.main import COMMANDS, cli, main


def completed(*words: str) -> list[str]:
    """What is offered for the last of the words."""
    environment = {"_DCKT_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = CliRunner().invoke(cli, [], prog_name="dckt", env=environment, obj=App())
    assert done.exit_code == 0, done.output
    return [line.partition(",")[2] for line in done.output.splitlines()]


def test_commands_options_and_choices_are_offered() -> None:
    assert completed("dckt", "ex") == ["evaluate", "experiment", "extract", "export"][1:]
    assert set(completed("dckt", "")) == set(COMMANDS)
    assert "--threshold" in completed("dckt", "search", "--th")
    assert completed("dckt", "completion", "z") == ["zsh"]
    assert completed("dckt", "search", "RUN", "--medium", "t") == ["text"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_itself_takes_it(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"_DCKT_COMPLETE={shell}_complete" in script
    if shutil.which(shell) is None:
        return
    done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = capsys.readouterr().out
    words = 'COMP_WORDS=(dckt comp); COMP_CWORD=1; _dckt_completion dckt; printf "%s\\n" "${COMPREPLY[@]}"'
    environment = os.environ | {"PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}  # noqa: PTH120
    done = subprocess.run(
        ["bash"], input=f"{script}\n{words}", capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["completion"]


def test_an_unknown_shell() -> None:
    assert main(["completion", "tcsh"]) == 2
