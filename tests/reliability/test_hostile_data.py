"""Files that somebody made badly, or on purpose: each is read as it should be, or named in one line. None is obeyed."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dckt_core.base.errors import DataError
from dckt_core.data.inspection import inspect_dataset
from dckt_core.data.manifest import load_manifest
from dckt_core.data.screening import screen

NOISE = np.random.default_rng(0).integers(0, 256, size=(48, 40, 3), dtype=np.uint8)


def encoded(kind: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (picture or Image.fromarray(NOISE)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb(side: int = 60_000) -> bytes:
    """A PNG of side x side black pixels, one bit each; of 3.6e9 pixels the data of the first rows, a few kilobytes."""
    rows = zlib.compress(bytes(min(side, 500) * (1 + (side + 7) // 8)), 9)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def frames() -> list[Image.Image]:
    return [Image.new("RGB", (40, 48), colour) for colour in ("red", "blue", "green")]


SIXTEEN = Image.fromarray((NOISE[..., 0].astype(np.uint16) << 8) | 0x12)

GOOD_IMAGES: dict[str, Callable[[], bytes]] = {
    "wrong-extension.jpg": lambda: encoded("PNG"),
    "no-extension": lambda: encoded("JPEG"),
    "animated.gif": lambda: encoded("GIF", frames()[0], save_all=True, append_images=frames()[1:]),
    "animated.webp": lambda: encoded("WEBP", frames()[0], save_all=True, append_images=frames()[1:]),
    "animated.png": lambda: encoded("PNG", frames()[0], save_all=True, append_images=frames()[1:]),
    "16-bit.png": lambda: encoded("PNG", SIXTEEN),
    "16-bit.tiff": lambda: encoded("TIFF", SIXTEEN),
    "cmyk.jpg": lambda: encoded("JPEG", Image.fromarray(NOISE).convert("CMYK")),
    "palette-with-transparency.png": lambda: encoded(
        "PNG", Image.fromarray(NOISE).quantize(8), transparency=bytes(range(0, 256, 32))
    ),
    "one-pixel.png": lambda: encoded("PNG", Image.new("RGB", (1, 1))),
    "one-row.png": lambda: encoded("PNG", Image.new("RGB", (30_000, 1))),
    "garbage-after-its-end.png": lambda: encoded("PNG") + b"\x00" * 9999 + b"<?php system('id') ?>",
    "犬 🐕.png": lambda: encoded("PNG"),
    "a b;rm -rf $HOME`id`.png": lambda: encoded("PNG"),
    "-rf.png": lambda: encoded("PNG"),
}

BAD_IMAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "zero-bytes.jpg": (lambda: b"", "the file is empty"),
    "truncated.jpg": (lambda: encoded("JPEG")[:-400], "cannot be decoded"),
    "truncated.png": (lambda: encoded("PNG")[:-400], "cannot be decoded"),
    "header-alone.png": (lambda: encoded("PNG")[:33], "no picture of a known format"),
    "html.jpg": (lambda: b"<!doctype html><title>404 Not Found</title>", "no picture of a known format"),
    "script.svg": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture of a known format"),
    "postscript.png": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture of a known format"),
    "zip.png": (lambda: b"PK\x03\x04" + bytes(64), "no picture of a known format"),
    "bomb.png": (bomb, "pixels"),
    "claims-4-gigapixels.bmp": (
        lambda: encoded("BMP")[:18] + struct.pack("<ii", 65_500, 65_500) + encoded("BMP")[26:],
        "pixels",
    ),
    "text-bomb.png": (
        lambda: (
            encoded("PNG")[:33]
            + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9))
            + encoded("PNG")[33:]
        ),
        "cannot be decoded",
    ),
}


def line(image: str, **changes: Any) -> bytes:
    row = {"image": image, "text": "a text", "label": "dog", "split": "train"} | changes
    return json.dumps(row, ensure_ascii=False).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two good pictures; `tmp_path/secret.png` lies beside it."""
    folder = tmp_path / "set"
    folder.mkdir()
    for path in (folder / "a.png", folder / "b.png", tmp_path / "secret.png"):
        path.write_bytes(encoded("PNG"))
    return folder


def problems(folder: Path, *lines: bytes, end: bytes = b"\n") -> list[str]:
    """What is wrong with a manifest of these lines and its images, without the folder's name."""
    (folder / "pairs.jsonl").write_bytes(end.join(lines) + end)
    found = [str(problem) for problem in inspect_dataset(lambda: load_manifest(folder), folder).problems]
    assert all("\n" not in problem and len(problem) < 400 for problem in found)
    return [problem.replace(f"{folder}/", "") for problem in found]


# --- images ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_IMAGES)
def test_an_odd_image_that_is_one(folder: Path, name: str) -> None:
    (folder / name).write_bytes(GOOD_IMAGES[name]())
    assert problems(folder, line(name)) == []


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_image_is_named_and_skipped(folder: Path, name: str) -> None:
    make, reason = BAD_IMAGES[name]
    (folder / name).write_bytes(make())
    (problem,) = problems(folder, line("a.png"), line(name), line("b.png"))
    assert problem.startswith(f"{name}: ")
    assert reason in problem
    found = screen(
        lambda: load_manifest(folder),
        splits=("train",),
        on_error="skip",
        max_bad_fraction=0.5,
        cache_dir=folder.parent / "cache",
    )
    assert [pair.id for pair in found.pair_set.pairs] == ["a.png", "b.png"]
    assert [row.pair for row in found.dropped] == [name]


LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from dckt_core.io.images import open_image
from dckt_core.base.errors import DataError
from PIL import Image
Image.init()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20),) * 2)
for file in sorted(Path(sys.argv[1]).iterdir()):
    try:
        open_image(file)
    except DataError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_a_few_kilobytes_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    for name, (make, _) in BAD_IMAGES.items():
        (tmp_path / name).write_bytes(make())
    command = [sys.executable, "-c", LITTLE_MEMORY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(BAD_IMAGES)
    assert "emory" not in done.stdout, "refused before anything was asked for"


def test_the_bomb_is_well_made() -> None:
    assert len(bomb()) < 8000
    with Image.open(io.BytesIO(bomb(500))) as small:
        small.load()
        assert small.size == (500, 500)


# --- paths ----------------------------------------------------------------------------------------------------


def links(folder: Path) -> None:
    (folder / "out.png").symlink_to(folder.parent / "secret.png")
    (folder / "up").symlink_to("..")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "hop.png").symlink_to("out.png")
    (folder / "device.png").symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("out.png", "leaves the folder through a symbolic link"),
        ("hop.png", "leaves the folder through a symbolic link"),
        ("up/secret.png", "leaves the folder through a symbolic link"),
        ("device.png", "leaves the folder through a symbolic link"),
        ("loop.png", "no such file"),
        ("dangling.png", "no such file"),
        ("../secret.png", "holds '..'"),
        ("x/../../secret.png", "holds '..'"),
        ("..\\secret.png", "holds '..'"),
        ("/etc/hostname", "is not a relative path"),
        ("//server/share/a.png", "is not a relative path"),
        ("\\\\server\\share\\a.png", "is not a relative path"),
        ("C:/a.png", "is not a relative path"),
        ("a.png\0.jpg", "holds a NUL character"),
        ("\0", "holds a NUL character"),
        (".", "no such file"),
        ("pairs.jsonl/a.png", "no such file"),
        ("a" * 100_000, "no such file"),
        ("d/" * 50_000 + "a.png", "no such file"),
        ("~/.ssh/id_rsa", "no such file"),
        ("file:///etc/hostname", "no such file"),
        ("https://example.org/a.png", "no such file"),
        ("$HOME/a.png", "no such file"),
    ],
)
def test_a_path_that_leaves_the_folder_or_leads_nowhere(folder: Path, image: str, reason: str) -> None:
    links(folder)
    found = problems(folder, line("a.png"), line(image), line("b.png"))
    assert len(found) == 1
    assert found[0].startswith("pairs.jsonl:2: ")
    assert reason in found[0]


def test_a_fifo_or_folder_is_no_image(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")  # opening it would wait for a writer for ever
    (folder / "folder.png").mkdir()
    found = problems(folder, line("pipe.png"), line("folder.png"))
    assert found == ["pairs.jsonl:1: image 'pipe.png': no such file", "pairs.jsonl:2: image 'folder.png': no such file"]


# --- manifests ------------------------------------------------------------------------------------------------

UNICODE_LABELS = [
    "犬",
    "chien-étoilé",
    "كلب",
    "🐕",
    "a" * 10_000,
    "dog",
    "DOG",
    "İ",
    "ﬁ",
    "'; DROP TABLE x; --",
    "{0}%s",
]


def read(folder: Path, *lines: bytes, end: bytes = b"\n", start: bytes = b"") -> list[Any]:
    (folder / "pairs.jsonl").write_bytes(start + end.join(lines) + end)
    return list(load_manifest(folder).pairs)


def test_a_byte_order_mark_and_other_line_ends(folder: Path) -> None:
    for start in (b"", b"\xef\xbb\xbf"):
        for end in (b"\n", b"\r\n", b"\n\n", b"\r\n \t\r\n"):
            assert len(read(folder, line("a.png"), line("b.png"), end=end, start=start)) == 2


def test_labels_of_all_scripts_stay_what_they_are(folder: Path) -> None:
    pairs = read(folder, *(line("a.png", label=label) for label in UNICODE_LABELS))
    assert [pair.label for pair in pairs] == UNICODE_LABELS


def test_a_text_of_a_hundred_thousand_words_and_one_of_a_million(folder: Path) -> None:
    (pair,) = read(folder, line("a.png", text="word " * 100_000))
    assert len(pair.text) == 500_000
    found = problems(folder, line("a.png", text="words " * 1_000_000), line("b.png"))
    assert found == ["pairs.jsonl:1: longer than 1048576 bytes"]


def test_a_line_of_100_mb_is_not_read_into_memory(folder: Path) -> None:
    with (folder / "pairs.jsonl").open("wb") as file:
        file.write(b'{"text": "')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + line("a.png") + b"\n")
    tracemalloc.start()
    found = inspect_dataset(lambda: load_manifest(folder), folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(problem.line, problem.reason) for problem in found.problems] == [(1, "longer than 1048576 bytes")]
    assert len(found.pair_set.pairs) == 1
    assert peak < 20 << 20


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"\xff\xfe{\x00", "not UTF-8: byte 1"),
        (line("a.png").decode().encode("utf-16"), "not UTF-8: byte 1"),
        (b'{"image": "a.png", "text": "caf\xe9", "label": "x", "split": "train"}', "not UTF-8: byte 32"),
        (b"\x00" * 1000, "not JSON"),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"9" * 10_000, "not a JSON object but a number"),
        (b'{"label": -' + b"9" * 5_000 + b"}", "fields 'image' and 'text' are missing"),
        (b"NaN", "not a JSON object but a number"),
        (b"-Infinity", "not a JSON object but a number"),
        (line("b.png", id="a.png"), "id 'a.png' is that of line 1 too"),
        (line("b.png", id=None), "field 'id' must be a string, not null"),
        (line("b.png", text=None, split="val"), "field 'text' is missing: an item alone is of use for split 'train'"),
        (line("b.png", text=["a"]), "field 'text' must be a string, not a list"),
        (line("b.png", text={"$ref": "x"}), "field 'text' must be a string, not an object"),
        (rb'{"image": "b.png", "text": "\ud800", "label": "x", "split": "train"}', "half of a surrogate pair"),
        (line("b.png", label="dog\u0000"), "control character"),
        (line("b.png", label="\u001b[2Jdog"), "control character"),
        (line("b.png", label="dog\u2028"), "blanks at its ends"),
        (line("b.png", __proto__="x"), "unknown field '__proto__'"),
    ],
)
def test_a_bad_line_is_named_and_skipped(folder: Path, bad: bytes, reason: str) -> None:
    good = [line("a.png", id="a.png"), line("b.png", id="b")]
    found = problems(folder, good[0], bad, good[1])
    assert len(found) == 1, found
    assert found[0].startswith("pairs.jsonl:2: ")
    assert reason in found[0]
    with pytest.raises(DataError, match=r"pairs\.jsonl:2: "):
        load_manifest(folder)
    options: dict[str, Any] = {"splits": ("train",), "on_error": "skip", "cache_dir": folder.parent / "cache"}
    kept = screen(lambda: load_manifest(folder), max_bad_fraction=0.4, **options)
    assert [pair.id for pair in kept.pair_set.pairs] == ["a.png", "b"]
    with pytest.raises(DataError, match="1 of 3 pairs are bad"):
        screen(lambda: load_manifest(folder), max_bad_fraction=0.3, **options)


def test_a_hundred_thousand_bad_lines_are_counted(folder: Path) -> None:
    (folder / "pairs.jsonl").write_bytes(b"{\n" * 100_000 + line("a.png") + b"\n")
    with pytest.raises(DataError, match=r"pairs\.jsonl: 100000 lines \(1, 2, 3, \.\.\.\): not JSON"):
        load_manifest(folder)


# --- a gallery's folder -------------------------------------------------------------------------------------------


def test_a_folder_s_links_that_leave_it_are_refused_and_counted(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    from dckt_core.data.context import Context
    from dckt_core.retrieval.listing import list_items

    folder, secret = tmp_path / "gallery", tmp_path / "secret"
    (folder / "sub").mkdir(parents=True)
    secret.mkdir()
    (secret / "passwd.txt").write_text("root:x:0:0")
    (folder / "a.txt").write_text("a dog")
    links = {
        "notes.txt": secret / "passwd.txt",
        "up.txt": Path("../secret/passwd.txt"),
        "sub/hop.txt": Path("../up.txt"),
    }
    for name, leads in links.items():
        (folder / name).symlink_to(leads)
    (folder / "inside.txt").symlink_to("a.txt")
    (folder / "far").symlink_to(secret)  # a folder: not walked into
    record_property("faults", len(links) + 1)
    found = list_items(str(folder), "text", Context(cache_dir=tmp_path))
    assert [entry.id for entry in found.entries] == ["a.txt", "inside.txt"]
    assert {problem.file.relative_to(folder).as_posix() for problem in found.problems} == set(links)
    assert all("a link that leaves the folder; --follow-links takes such, too" in str(one) for one in found.problems)
    allowed = list_items(str(folder), "text", Context(cache_dir=tmp_path, image_roots=(secret,)))
    assert [entry.id for entry in allowed.entries] == ["a.txt", "inside.txt", "notes.txt", "up.txt", "sub/hop.txt"]


def test_follow_links_insists(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from dckt_cli.main import main

    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    monkeypatch.chdir(trained)
    folder = tmp_path / "gallery"
    folder.mkdir()
    (tmp_path / "else.txt").write_text("a red square")
    (folder / "a.txt").symlink_to(tmp_path / "else.txt")
    how = ["extract", "--run", "runs/squares", "--input", str(folder), "--medium", "text", "--quiet"]
    assert main([*how, "-o", str(tmp_path / "no")]) == 3
    assert "a.txt: a link that leaves the folder; --follow-links takes such, too" in capsys.readouterr().err
    assert main([*how, "-o", str(tmp_path / "yes"), "--follow-links"]) == 0
