"""Files of word vectors as people have them: the format is told by the content, and only wanted rows are kept.

A file is read once, front to back, whatever packs it; memory holds the wanted rows and one block, whatever a header
claims.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from torch import Tensor

from dckt_core import DataError, Unpacked, shown
from dckt_plugins.encoders.fasttext_model import MAGIC as FASTTEXT
from dckt_plugins.encoders.fasttext_model import read_model
from dckt_plugins.encoders.kept_vectors import BLOCK, MAX_SIZE, MAX_WORD_BYTES, Kept, Row, Wanted
from dckt_plugins.encoders.weights import one_line

HEAD = 1 << 16
"""Bytes that a format is told by."""

SAMPLE = 16
"""Lines of a text without a header whose most frequent length is that of all."""

MAX_LINE_BYTES = 1 << 20
"""A longer line is no word and its vector."""

LAYERS = 2
"""Packings one in another: a text in a gzip in a zip."""

_PACKED: dict[bytes, tuple[str, Callable[[BinaryIO], object]]] = {
    b"\x1f\x8b": ("gzip", lambda file: gzip.GzipFile(fileobj=file)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\0": ("xz", lzma.LZMAFile),
}
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
_PICKLE = (
    "a pickle, as gensim saves its models, which may run code when loaded; save it with save_word2vec_format and name "
    "that file"
)
_REFUSED = {
    **{b"\x80" + bytes([protocol]): _PICKLE for protocol in range(2, 6)},
    b"\x93NUMPY": "an array, which has no words",
    b"\x89HDF": "HDF5, and no word vectors in a format of word2vec, GloVe or fastText",
    b"PAR1": "Parquet, and no word vectors in a format of word2vec, GloVe or fastText",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it",
    b"7z\xbc\xaf": "packed by 7-Zip; unpack it",
    b"Rar!": "packed by RAR; unpack it",
    b"\xff\xfe": "text in UTF-16; save it in UTF-8",
    b"\xfe\xff": "text in UTF-16; save it in UTF-8",
    b"<!": "a web page, maybe in place of a download",
    b"<html": "a web page, maybe in place of a download",
}
_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[ \t]*(\d+)[ \t]+(\d+)[ \t]*\r?\n")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def read_vectors(path: Path, wanted: Wanted) -> tuple[list[str], Tensor]:
    """The wanted words (as `fold` spells them) that a file has, and their vectors [V, d], in the file's order.

    Formats: word2vec's text and binary; text without a line of counts, as GloVe's; fastText's `.vec` and models. Any of
    them plain or packed by gzip, bzip2, xz or zip, of which `FILE.zip/MEMBER` names one file of several. A name's
    suffix tells nothing. What stands before the last d fields of a line is the word. A header's count of words is not
    believed. Words that are empty or not UTF-8 are skipped; what was skipped is counted in a line of the log. Where a
    file has a word in several cases, the folded one wins, then the first.

    Raises:
        DataError: the file is missing, in another format, broken, or holds no wanted word; the message names the line
            or the word.
    """
    file, member = _parted(path)
    kept, seems = Kept(wanted), ""
    try:
        with _unpacked(file, member) as (stream, packed):
            name, read = _format(stream.read(HEAD))
            stream.seek(0)
            seems = name + "".join(f", packed by {packing}" for packing in packed)
            read(stream, kept)
    except ValueError as error:
        raise DataError(f"{path}: it looks like {seems}, but {error}" if seems else f"{path}: {error}") from None
    except _BROKEN as error:
        raise DataError(f"{path}: it cannot be read to its end: {one_line(error)}") from None
    if len(wanted) and not kept.vectors:
        raise DataError(f"{path}: it looks like {seems}, but it has none of the {len(wanted)} words of the texts")
    kept.tell(f"{path}: {seems}")
    return list(kept.vectors), torch.from_numpy(np.array(list(kept.vectors.values()), dtype=np.float32))


# --- packings ---------------------------------------------------------------------------------------------------


def _parted(path: Path) -> tuple[Path, str | None]:
    """A file, and the name in it of `FILE.zip/MEMBER`."""
    if path.is_file():
        return path, None
    for parent in path.parents:
        if parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    raise DataError(f"{path}: no such file of word vectors")


@contextmanager
def _unpacked(file: Path, member: str | None) -> Iterator[tuple[BinaryIO, list[str]]]:
    """What a file holds, from the beginning, and what it is packed by, inmost first.

    Raises:
        ValueError: a zip holds several files, or not the one that is asked for.
    """
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(file.open("rb"))
        packed: list[str] = []
        unpacked = Unpacked(file)
        for _ in range(LAYERS):
            head = stream.read(6)
            stream.seek(0)
            if head.startswith(b"PK\x03\x04"):
                archive = stack.enter_context(zipfile.ZipFile(stream))
                inner: object = stack.enter_context(archive.open(_member(file, archive, member)))
                packing, member = "zip", None
            else:
                known = next((magic for magic in _PACKED if head.startswith(magic)), None)
                if known is None:
                    break
                packing, unpack = _PACKED[known]
                inner = unpack(stream)
            stream = io.BufferedReader(_Counted(cast(io.RawIOBase, inner), unpacked), BLOCK)
            packed.insert(0, packing)
        if member is not None:
            raise DataError(f"{file}: no zip, so that nothing in it is called {shown(member)}")
        yield stream, packed


class _Counted(io.RawIOBase):
    """A stream of which what is read is counted; what is read again counts once more."""

    def __init__(self, stream: io.RawIOBase, unpacked: Unpacked) -> None:
        self._stream, self._unpacked = stream, unpacked

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: Any) -> int:
        size = self._stream.readinto(buffer) or 0
        self._unpacked.count(size)
        return size


def _member(file: Path, archive: zipfile.ZipFile, asked: str | None) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if asked is None and len(names) == 1:
        return names[0]
    if asked in names:
        return str(asked)
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    if asked is None:
        raise DataError(f"{file}: the zip holds {len(names)} files; name one as {file}/MEMBER: {listed}")
    raise DataError(f"{file}: the zip holds no {shown(asked)}; it has {listed}")


# --- formats ----------------------------------------------------------------------------------------------------


def _format(head: bytes) -> tuple[str, Callable[[BinaryIO, Kept], None]]:
    """What to call the format of a file that begins so, and what reads it.

    Raises:
        ValueError: it is none that is read.
    """
    if head.startswith(FASTTEXT):
        return "a fastText model", read_model
    for magic, what in _REFUSED.items():
        if head.startswith(magic):
            raise ValueError(f"it is {what}")
    if head[257:262] == b"ustar":
        raise ValueError("it is a tar archive; unpack it")
    if not head.strip():
        raise ValueError("it is empty")
    header = _HEADER.match(head)
    body = head[header.end() :] if header else head
    line = body.lstrip(b"\r\n").partition(b"\n")[0].split()
    if _CONTROL.search(body) and not (len(line) > 1 and _is_number(line[-1])):
        if header is None:
            raise ValueError("it is binary, and begins with no line of two counts, as word2vec's binary format does")
        return "word2vec's binary format", _read_binary
    if header is None:
        return "text without a line of counts (GloVe's format)", _read_text
    return "word2vec's text format", _read_text


def _size(said: bytes) -> int:
    """The number of values that a header says."""
    size = int(said[:20])
    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"its header says {said[:20].decode()} values a word, which is not from 1 to {MAX_SIZE}")
    return size


def _read_text(stream: BinaryIO, kept: Kept) -> None:
    lines = _numbered(stream)
    sample = list(islice(lines, SAMPLE))
    if not sample:
        raise ValueError("it is empty")
    header = _HEADER.match(sample[0][1] + b"\n")
    if header:
        kept.claimed, size, whose = int(header[1][:20]), _size(header[2]), "that the header says"
        del sample[0]
    else:
        counts = Counter(len(line.split()) for _, line in sample)
        size, whose = counts.most_common(1)[0][0] - 1, "of most lines"
        if size < 2:
            raise ValueError(f"line {sample[0][0]} has less than two numbers behind a word")
        if size > MAX_SIZE:
            raise ValueError(f"line {sample[0][0]} has {size} numbers, more than {MAX_SIZE}")
    for number, line in sample[:1]:
        _parse(number, line.split()[1:][-size:])  # were no line wanted, nobody would notice other content
    for number, line in chain(sample, lines):
        if line.count(b" ") == size:  # the usual one: nothing more is looked at where its word is not wanted
            word = line[: line.find(b" ")]
            if word and b"\t" not in word:
                folded = kept.offer(word)
                if folded is not None:
                    _put(kept, folded, number, line.split(), size, whose)
                continue
        fields = line.split()
        if len(fields) == size + 1:
            folded = kept.offer(fields[0])
            if folded is not None:
                _put(kept, folded, number, fields, size, whose)
        elif len(fields) == size and line[:1].isspace():
            kept.offer(b"")
        elif len(fields) <= size or _is_value(fields[-size - 1]):
            raise _ragged(number, fields, size, whose)
        else:
            kept.rows += 1  # a word with blanks in it, which no text has


def _numbered(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines, numbered from 1, without what is blank at their ends; blank ones and a byte order mark are left out.

    Raises:
        ValueError: one is too long.
    """
    for number, line in enumerate(iter(partial(stream.readline, MAX_LINE_BYTES), b""), start=1):
        if len(line) == MAX_LINE_BYTES:
            raise ValueError(f"line {number} is too long to be a word and its vector")
        body = line.rstrip()
        if number == 1:
            body = body.removeprefix(b"\xef\xbb\xbf")
        if body:
            yield number, body


def _put(kept: Kept, word: str, number: int, fields: list[bytes], size: int, whose: str) -> None:
    if len(fields) != size + 1:
        raise _ragged(number, fields, size, whose)
    vector = _parse(number, fields[1:])
    try:
        kept.put(word, vector)
    except ValueError as error:
        raise ValueError(f"in line {number} {error}") from None


def _ragged(number: int, fields: list[bytes], size: int, whose: str) -> ValueError:
    word = shown(fields[0].decode(errors="replace"))
    return ValueError(f"in line {number} the word {word} has {len(fields) - 1} numbers, not the {size} {whose}")


def _parse(number: int, fields: list[bytes]) -> Row:
    try:
        with np.errstate(over="ignore"):
            return np.array([float(field) for field in fields], dtype=np.float32)
    except ValueError:
        wrong = next(field for field in fields if not _is_number(field)).decode(errors="replace")
        comma = " (a decimal comma?)" if _is_number(wrong.replace(",", ".", 1).encode()) else ""
        raise ValueError(f"in line {number} {shown(wrong)} is no number{comma}") from None


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _is_value(field: bytes) -> bool:
    """Whether a field is written as values are, and not as the number in a word such as `world war 2`."""
    return _is_number(field) and not field.isdigit() and not field.isalpha()


def _read_binary(stream: BinaryIO, kept: Kept) -> None:
    header = _HEADER.match(stream.readline(HEAD))
    assert header is not None  # the format was told by it
    kept.claimed, size = int(header[1][:20]), _size(header[2])
    width = 4 * size
    data, at = b"", 0
    while True:
        blank = data.find(b" ", at)
        after = blank + 1 + width
        if blank < 0 or after > len(data):
            if blank < 0 and len(data) - at > MAX_WORD_BYTES:
                raise ValueError(f"its word {kept.rows + 1} has no end")
            more = stream.read(BLOCK)
            if not more:
                break
            data, at = data[at:] + more, 0
            continue
        word = data[at:blank].lstrip(b"\n")
        if b"\n" in word:
            raise ValueError(f"its word {kept.rows + 1} is none: has each word {size} values, as the header says?")
        folded = kept.offer(word)
        if folded is not None:
            kept.put(folded, np.frombuffer(data, "<f4", size, blank + 1).astype(np.float32))
        at = after
    rest = data[at:].lstrip(b"\r\n")
    if rest:
        word = rest.partition(b" ")[0][:60]
        raise ValueError(
            f"it is cut short, or each word has not the {size} values that the header says: its word "
            f"{kept.rows + 1}, {shown(word.decode(errors='replace'))}, lacks some"
        )
    if kept.skipped.total() > kept.rows / 2 and len(kept.skipped):
        raise ValueError(f"most of its words cannot be read: has each {size} values, as the header says?")
