"""What strangers wrote reaches the terminal through one printer, whichever command shows it."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dckt_cli.main import main
from dckt_core.runs.seal import seal_run
from tests.support.squares import Capture

ROOT = Path(__file__).parents[2]
PACKAGES = ("cli/dckt_cli", "cli/dckt_apps", "cli/dckt_bench", "dckt_core", "dckt_kernels", "plugins/dckt_plugins")
PRINTERS = ("cli/dckt_cli/console.py", "cli/dckt_cli/screen.py")
TO_A_PARENT = ("cli/dckt_bench/memory.py", "cli/dckt_bench/transport.py")
"""They print JSON into a pipe that their own parent reads."""
OF_THE_KERNELS = ("dckt_kernels/selftest/__main__.py",)
"""Of the kernels alone, beside which no printer need be installed: their own figures, and no stranger's text."""
WAYS = {
    "print", "pprint", "click.echo", "click.secho", "click.echo_via_pager", "click.style", "rich.print", "Console",
    "rich.console.Console", "traceback.print_exc", "traceback.print_exception", "traceback.print_stack",
    "logging.StreamHandler", "logging.basicConfig", "sys.stdout.write", "sys.stderr.write", "sys.stdout.buffer.write",
    "sys.__stdout__.write", "os.write", "sys.stdout.writelines", "sys.stderr.writelines",
}  # fmt: skip


def called(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """What is called, by its dotted name, and where."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            parts: list[str] = []
            target: ast.expr = node.func
            while isinstance(target, ast.Attribute):
                parts.append(target.attr)
                target = target.value
            if isinstance(target, ast.Name):
                yield ".".join([target.id, *reversed(parts)]), node.lineno


def ways_out(file: Path) -> list[str]:
    """The calls of a file that write to a terminal by themselves."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = [f"{file}:{line}: {name}" for name, line in called(tree) if name in WAYS]
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    hidden = {("click", "echo"), ("click", "secho"), ("rich", "print"), ("traceback", "print_exc")}
    found += [f"{file}: from {n.module}" for n in imported for a in n.names if (n.module, a.name) in hidden]
    return found


def test_nothing_else_prints() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    files = [file for file in files if "templates" not in file.parts]
    assert len(files) > 200
    allowed = {ROOT / name for name in (*PRINTERS, *TO_A_PARENT, *OF_THE_KERNELS)}
    assert [way for file in files if file not in allowed for way in ways_out(file)] == []


@pytest.mark.parametrize(
    "line",
    [
        "print(1)",
        "click.echo(x)",
        "sys.stdout.write(x)",
        "import click; click.secho(x)",
        "from rich import print as show",
        "Console().print(x)",
        "logging.StreamHandler()",
        "from click import echo",
        "traceback.print_exc()",
    ],
)
def test_a_way_out_would_be_seen(tmp_path: Path, line: str) -> None:
    """The control."""
    (tmp_path / "a.py").write_text(line)
    assert ways_out(tmp_path / "a.py")


FORGED = "x\x1b[2J\x1b]0;title\x07\ndckt: error: forged\r\u202egnp.exe\u2066\x9b31m\u2028"


def harmless(said: str) -> bool:
    """No letter steers a terminal, and no line looks like dckt's own."""
    shown = all(letter == "\n" or letter.isprintable() for letter in said)
    return shown and not any(line.startswith("dckt: error: forged") for line in said.splitlines())


@pytest.fixture
def forged(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that a stranger called so, with such names in all that it says."""
    run = Path(shutil.copytree(trained / "runs/squares", tmp_path / "runs" / FORGED.replace("/", "")))
    summary = json.loads((run / "summary.json").read_text())
    summary["source"]["origin"] = summary["target"]["origin"] = FORGED
    summary["space"]["notes"] = [["network", FORGED]]
    summary["space"]["aside"] = {FORGED: FORGED}
    (run / "summary.json").write_text(json.dumps(summary))
    environment = json.loads((run / "env.json").read_text())
    environment["packages"] |= {FORGED: FORGED}
    (run / "env.json").write_text(json.dumps(environment))
    config = run / "config.toml"
    config.write_text(f"{config.read_text()}\n[made_up]\nvalue = {json.dumps(FORGED)}\n{json.dumps(FORGED)} = 1\n")
    seal_run(run)
    monkeypatch.chdir(trained)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    return run


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize("command", ["list", "show", "compare", "verify", "evaluate", "search", "check", "report"])
def test_no_command_forges_a_line(
    forged: Path, trained: Path, tmp_path: Path, capsys: Capture, command: str, as_json: list[str]
) -> None:
    other = str(trained / "runs/squares")
    data = tmp_path / FORGED.replace("/", "")
    data.mkdir(exist_ok=True)
    rows = [{"id": FORGED, "image": f"{FORGED}.png", "text": FORGED, "label": FORGED, "split": "train"}] * 2
    (data / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    words = {
        "list": ["runs", "list", "--runs-dir", str(forged.parent)],
        "show": ["runs", "show", str(forged)],
        "compare": ["runs", "compare", str(forged), other],
        "verify": ["verify", str(forged.parent), "--quiet"],
        "evaluate": ["evaluate", str(forged)],
        "search": ["search", str(forged), "--text", FORGED],
        "check": ["datasets", "check", str(data)],
        "report": ["--debug", "report", str(forged), "--output", str(tmp_path / f"{FORGED}/r.html")],
    }[command]
    if command == "report" and as_json:
        return
    main([*words, *as_json])
    said = capsys.readouterr()
    assert harmless(said.out), said.out
    assert harmless(said.err), said.err
    assert "forged" in said.out + said.err, "it is told of all the same"
    if as_json and said.out:
        json.loads(said.out)


def test_it_would_be_seen(capsys: Capture) -> None:
    assert not harmless(FORGED)
    assert not harmless("dckt: error: forged")
    assert harmless("fine\nlines")


def test_a_report_shows_what_cannot_be_seen(forged: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    summary = json.loads((forged / "summary.json").read_text())
    summary["space"]["aside"] = {}
    (forged / "summary.json").write_text(json.dumps(summary))
    config = (trained / "runs/squares/config.toml").read_text()
    (forged / "config.toml").write_text(config)
    seal_run(forged)
    assert main(["report", str(forged), "-o", str(out), "--quiet"]) == 0
    page = out.read_text(encoding="utf-8")
    assert all(letter == "\n" or letter.isprintable() for letter in page)
    assert r"x\x1b[2J\x1b]0;title" in page
