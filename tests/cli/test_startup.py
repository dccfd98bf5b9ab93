"""The command answers at once: listings import no torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import DCKT

LIMIT = 0.3
"""Seconds of a processor that `dckt --help` and `dckt plugins` may take: on an idle machine, how long they do."""


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["plugins"], ["plugins", "show", "mmd"], ["train", "-h"]])
def test_listings_import_nothing_heavy(args: list[str]) -> None:
    heavy = ("torch", "numpy", "pydantic", "rich", "gensim", "sklearn", "matplotlib", "PIL")
    program = (
        f"import sys; from dckt_cli.main import main; code = main({['--no-plugins', *args]!r});"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("args", [["--help"], ["plugins"]])
def test_listings_take_less_than_the_limit(args: list[str]) -> None:
    times = []
    for _ in range(5):  # others use the caches of the processor, too
        before = os.times()
        subprocess.run([DCKT, *args], capture_output=True, check=True)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        if spent < LIMIT:
            return
        times.append(spent)
    pytest.fail(f"dckt {' '.join(args)} took {min(times):.2f} s at best; the limit is {LIMIT} s")


def test_strangers_are_listed_without_torch(distributions: Path) -> None:
    program = (
        "import sys; from dckt_cli.main import main; main(['plugins']);"
        "sys.exit([name for name in ('dckt_stranger', 'torch') if name in sys.modules] != ['dckt_stranger'])"
    )
    environment = os.environ | {"PYTHONPATH": str(distributions), "DCKT_LOAD_PLUGINS": "dckt-stranger"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0
    assert "thumbnail" in done.stdout
