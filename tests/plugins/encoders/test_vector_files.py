from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import save_facebook_model

from dckt_core.base.errors import DataError
from dckt_plugins.encoders.fasttext_model import MAGIC
from dckt_plugins.encoders.kept_vectors import BLOCK, MAX_SIZE
from dckt_plugins.encoders.vector_files import read_vectors
from tests.support.data import optional_data
from tests.support.tolerance import assert_same

PLAIN = b"4 2\nDog 1 2\ndog 3 4\nCat 5 6\nbird 7 8\n"
GLOVE = PLAIN.split(b"\n", 1)[1]


def binary(*rows, header=None):
    size = len(rows[0][1])
    content = b"".join(word + b" " + struct.pack(f"<{size}f", *row) + b"\n" for word, row in rows)
    return (header or f"{len(rows)} {size}\n".encode()) + content


BINARY = binary((b"dog", (3, 4)), (b"Cat", (5, 6)))


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return file.getvalue()


def read(path, content, wanted=("dog", "cat", "fish")):
    path.write_bytes(content)
    words, vectors = read_vectors(path, set(wanted))
    return dict(zip(words, vectors.tolist(), strict=True))


RIGHT = {
    "word2vec": PLAIN,
    "GloVe": GLOVE,
    "a BOM": b"\xef\xbb\xbf" + PLAIN,
    "GloVe with a BOM": b"\xef\xbb\xbf" + GLOVE,
    "CRLF": PLAIN.replace(b"\n", b"\r\n"),
    "tabs": PLAIN.replace(b" ", b"\t"),
    "tabs behind words": GLOVE.replace(b"g ", b"g\t"),
    "double blanks": PLAIN.replace(b" ", b"  "),
    "blanks before words": GLOVE.replace(b"\nd", b"\n  d"),
    "blanks at the ends, as in fastText's .vec": PLAIN.replace(b"\n", b" \n"),
    "a blank last line": PLAIN + b"\n",
    "no last newline": PLAIN.rstrip(),
    "a header that says too few": PLAIN.replace(b"4 2", b"1 2"),
    "a header that says too many": PLAIN.replace(b"4 2", b"99999999999999999999999999 2"),
    "words with blanks": GLOVE + b". . . 9 9\nat name@domain.com 9 9\ndog house 9 9\nworld war 2 9 9\n",
    "words with other blanks": GLOVE + "dog\u00a0 b 9 9\n\u3000 9 9\n\u0085 9 9\n".encode(),
    "a number for a word": b"2012 9 9\n" + GLOVE,
    "a word that is not UTF-8": GLOVE + "caf\xe9 9 9\n".encode("latin-1"),
    "no word": GLOVE + b" 9 9\n",
    "a word twice": PLAIN + b"dog 9 9\nDog 9 9\nCat 9 9\n",
    "control characters": GLOVE + b"do\x01g 9 9\n",
    "numbers with exponents": GLOVE.replace(b" 4", b" 4e0").replace(b" 6", b" +6.0"),
    "binary": BINARY,
    "binary without line ends": BINARY.replace(b"\nCat", b"Cat").rstrip(b"\n"),
    "binary that says too few": BINARY.replace(b"2 2", b"1 2"),
    "binary that says too many": BINARY.replace(b"2 2", b"9 2"),
    "binary with a word that is not UTF-8": binary((b"caf\xe9", (9, 9)), (b"dog", (3, 4)), (b"cat", (5, 6))),
    "binary with no word": binary((b"dog", (3, 4)), (b"", (9, 9)), (b"cat", (5, 6))),
    "binary with a word twice": binary((b"dog", (3, 4)), (b"cat", (5, 6)), (b"dog", (9, 9))),
}
PACKED = {
    "gz": lambda content: gzip.compress(content, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda content: zipped(vectors__txt=content),
    "gz in zip": lambda content: zipped(vectors__gz=gzip.compress(content, mtime=0)),
}


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "V.GZ", "vectors"])
@pytest.mark.parametrize("content", RIGHT.values(), ids=RIGHT)
def test_any_format_under_any_name(tmp_path, name, content):
    assert read(tmp_path / name, content) == {"dog": [3, 4], "cat": [5, 6]}


@pytest.mark.parametrize("content", [PLAIN, GLOVE, BINARY])
@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_any_packing_under_any_name(tmp_path, pack, content):
    assert read(tmp_path / "v.txt", pack(content)) == {"dog": [3, 4], "cat": [5, 6]}


def test_a_zip_of_several_files_is_asked_for_one(tmp_path):
    path = tmp_path / "glove.zip"
    path.write_bytes(zipped(small__txt=GLOVE, large__txt=GLOVE.replace(b"4", b"4 4")))
    words, vectors = read_vectors(path / "small.txt", {"dog"})
    assert (words, vectors.tolist()) == (["dog"], [[3, 4]])
    with pytest.raises(DataError, match=r"the zip holds 2 files; name one as .*glove.zip/MEMBER: small.txt, large.txt"):
        read_vectors(path, {"dog"})
    with pytest.raises(DataError, match=r"the zip holds no 'other.txt'; it has small.txt, large.txt"):
        read_vectors(path / "other.txt", {"dog"})
    (tmp_path / "v.txt").write_bytes(PLAIN)
    with pytest.raises(DataError, match=r"v.txt: no zip, so that nothing in it is called 'small.txt'"):
        read_vectors(tmp_path / "v.txt" / "small.txt", {"dog"})


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.txt", None, "no such file of word vectors"),
        ("empty.txt", b"", "it is empty"),
        ("blank.txt", b"\n\n\n", "it is empty"),
        ("gz of nothing", gzip.compress(b"", mtime=0), "it is empty"),
        ("words.txt", b"4 2\ndog three four\n", "word2vec's text format, but in line 2 'three' is no number"),
        ("prose.txt", b"The dog runs.\nA cat sleeps.\n", "line 1 'dog' is no number"),
        ("comma.txt", b"2 2\ndog 0,5 0,25\n", "in line 2 '0,5' is no number (a decimal comma?)"),
        ("nan.txt", b"2 2\ncat 1 2\ndog nan 6\n", "in line 3 the vector of 'dog' holds numbers that"),
        (
            "large.txt",
            b"2 2\ncat 1 2\ndog 1e300 6\n",
            "in line 3 the vector of 'dog' holds numbers that",
        ),
        ("strange.txt", b"1 2\nchien 1 2\n", "it has none of the 2 words of the texts"),
        ("header.txt", b"2 3\ncat 1 2\n", "in line 2 the word 'cat' has 2 numbers, not the 3 that the header says"),
        (
            "ragged.txt",
            GLOVE + b"cow 1\n",
            "in line 5 the word 'cow' has 1 numbers, not the 2 of",
        ),
        ("longer.txt", GLOVE + b"cow 1 2.5 2\nox 2.5 1 2\n", "in line 6 the word 'ox' has 3 numbers, not the 2 of"),
        ("one.txt", b"dog 1\ncat 2\n", "line 1 has less than two numbers behind a word"),
        ("huge.txt", b"dog" + b" 1" * (MAX_SIZE + 1), f"line 1 has {MAX_SIZE + 1} numbers, more than {MAX_SIZE}"),
        ("long.txt", b"1 2\ndog 1 2\n" + b"x" * 2_000_000, "line 3 is too long to be a word and its vector"),
        ("short.bin", BINARY[:-6], "word2vec's binary format, but it is cut short"),
        ("short.bin", BINARY[:-6], "its word 2, 'Cat', lacks some"),
        ("more.bin", BINARY.replace(b"2 2", b"2 1"), "has each word 1 values, as the header says?"),
        ("huge.bin", b"1 99999999999999\n\0", "its header says 99999999999999 values a word, which is not from 1 to"),
        ("endless.bin", b"1 2\n" + b"\1" * (3 * BLOCK), "its word 1 has no end"),
        ("nan.bin", binary((b"dog", (1.0, float("nan")))), "the vector of 'dog' holds numbers that are not finite"),
        ("headless.bin", BINARY[4:], "it is binary, and begins with no line of two counts"),
        ("short.gz", gzip.compress(PLAIN, mtime=0)[:-12], "it cannot be read to its end"),
        ("short.bz2", bz2.compress(PLAIN)[:-12], "it cannot be read to its end"),
        ("short.xz", lzma.compress(PLAIN)[:-12], "it cannot be read to its end"),
        ("short.zip", zipped(v__txt=PLAIN)[:-12], "it cannot be read to its end"),
        ("gensim.txt", pickle.dumps({}), "may run code"),
        ("array.txt", b"\x93NUMPY\x01\0", "an array, which has no words"),
        ("utf-16.txt", PLAIN.decode().encode("utf-16"), "text in UTF-16; save it in UTF-8"),
        ("page.txt", b"<!DOCTYPE html>", "a web page"),
        ("archive", b"v.txt".ljust(257, b"\0") + b"ustar", "a tar archive; unpack it"),
        (
            "model.bin",
            MAGIC + struct.pack("<i", 12) + b"\0" * 4000,
            "a fastText model, but it says that it has 0",
        ),
        ("old.bin", MAGIC + struct.pack("<i", 9), "a fastText model, but it is of version 9"),
        ("cut.bin", MAGIC + b"\x0c\0", "a fastText model, but it is cut short"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_vectors(path, {"dog", "cat"})
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert "\n" not in message
    assert not message.endswith(": ")


def test_a_binary_file_whose_words_are_no_words_has_another_size(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"word{n}".encode(), rng.normal(size=8)) for n in range(200)]
    for size in (7, 9, 16, 300):
        with pytest.raises(DataError, match="as the header says|that the header says"):
            read(tmp_path / "v.bin", binary(*rows, header=f"200 {size}\n".encode()), {"word0"})


def test_what_was_odd_is_counted_in_one_line(tmp_path, caplog):
    content = b"9 2\ndog 3 4\ndog 1 1\n\xff 1 1\n\xfe 1 1\n 1 1\nx 1 1\n"
    read(tmp_path / "v.txt", content)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        f"{tmp_path / 'v.txt'}: word2vec's text format: 6 words; 1 skipped: not the first of their spelling; "
        "2 skipped: not UTF-8; 1 skipped: empty; its header says 9"
    )
    caplog.clear()
    read(tmp_path / "v.txt", PLAIN)
    assert not caplog.records


def test_the_same_bits_as_gensim(tmp_path):
    """Its reader is slower, and takes more memory; where it reads a file at all, ours reads the same."""
    rng = np.random.default_rng(0)
    vectors = KeyedVectors(12)
    vectors.add_vectors([f"word{n}" for n in range(500)], rng.normal(size=(500, 12)).astype(np.float32))
    wanted = {f"word{n}" for n in range(0, 600, 3)}
    for name, how in (("v.txt", {}), ("v.bin", {"binary": True}), ("g.txt", {"write_header": False})):
        path = tmp_path / name
        vectors.save_word2vec_format(str(path), **how)
        theirs = KeyedVectors.load_word2vec_format(str(path), binary=name == "v.bin", no_header=name == "g.txt")
        words, ours = read_vectors(path, wanted)
        assert words == [word for word in theirs.index_to_key if word in wanted]
        assert np.array_equal(ours.numpy(), theirs[words])


def test_rows_at_the_ends_of_blocks_are_whole(tmp_path):
    rng = np.random.default_rng(1)
    rows = [(f"word{n}".encode(), rng.normal(size=100).astype(np.float32)) for n in range(3 * BLOCK // 400)]
    found = read(tmp_path / "v.bin", binary(*rows), {word.decode() for word, _ in rows})
    assert list(found) == [word.decode() for word, _ in rows]
    assert np.array_equal(np.array(list(found.values()), np.float32), np.array([row for _, row in rows]))


# --- fastText's models ------------------------------------------------------------------------------------------

SENTENCES = [line.split() for line in ("a Dog runs", "the cat sleeps", "l'été au café", "犬 と 猫", "a dog sleeps")] * 3
GRAMS = 20
"""The vector of a word is the mean of its own and of its n-grams', at most so many here."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models as fastText saves them, written by gensim: with n-grams and without."""
    folder = tmp_path_factory.mktemp("fasttext")
    made = {}
    for name, longest in (("ngrams", 4), ("words", 0)):
        model = FastText(SENTENCES, vector_size=6, min_count=1, epochs=2, workers=1, min_n=2, max_n=longest, bucket=50)
        save_facebook_model(model, str(folder / f"{name}.bin"))
        made[name] = folder / f"{name}.bin", model.wv
    return made


@pytest.mark.parametrize("name", ["ngrams", "words"])
def test_models_of_fasttext_give_the_vectors_of_their_words(models, tmp_path, name):
    path, theirs = models[name]
    wanted = {"dog", "runs", "sleeps", "café", "l'été", "犬", "猫", "bird"}
    packed = tmp_path / "model"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for file in (path, packed):
        words, ours = read_vectors(file, wanted)
        assert set(words) == wanted - {"bird"}
        assert_same(ours, torch.from_numpy(theirs[words]), terms=GRAMS)


@pytest.mark.parametrize("name", ["ngrams", "words"])
def test_a_model_cut_anywhere_before_the_end_of_its_matrix_is_refused(models, tmp_path, name):
    path, theirs = models[name]
    content = path.read_bytes()
    matrix = content.index(struct.pack("<2q", len(theirs.vectors_vocab) + (50 if name == "ngrams" else 0), 6))
    for end in [4, 20, 100, 200, matrix - 30, matrix - 1, matrix + 8, matrix + 20, matrix + 16 + 24 * len(theirs) - 1]:
        (tmp_path / "cut.bin").write_bytes(content[:end])
        with pytest.raises(DataError, match=r"cut.bin: it looks like a fastText model, but it is cut short"):
            read_vectors(tmp_path / "cut.bin", {"dog"})


def test_a_quantised_model_is_refused(models, tmp_path):
    path, theirs = models["ngrams"]
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<2q", len(theirs.vectors_vocab) + 50, 6)) - 1] = 1
    (tmp_path / "v.ftz").write_bytes(content)
    with pytest.raises(DataError, match="it is quantised; take the model that it was made of"):
        read_vectors(tmp_path / "v.ftz", {"dog"})


# --- files as they were found -----------------------------------------------------------------------------------

WORDS = ["a", "red", "blue", "green", "black", "square", "circle", "at", "the", "left", "right", "side", "number"]
REFUSED = {
    "comma.txt": "in line 2 '0,1257' is no number",
    "cut.bin": "its word 13, 'number'",
    "dimoff.txt": "in line 2 the word 'a' has 8 numbers, not the 9",
    "empty.txt": "it is empty",
    "ft.bin": "a fastText model",
    "nan.txt": "in line 14 the vector of 'number'",
    "onedim.txt": "line 1 has less than two numbers",
    "ragged.txt": "in line 14 the word 'dog' has 2 numbers, not the 8",
}


def test_files_as_they_were_found():
    (cases,) = optional_data("../cases/word_vectors")
    _, right = read_vectors(cases / "good.txt", set(WORDS))
    for path in sorted(cases.iterdir()):
        if path.name in REFUSED:
            with pytest.raises(DataError) as caught:
                read_vectors(path, set(WORDS))
            assert str(caught.value).startswith(f"{path}: ")
            assert REFUSED[path.name] in str(caught.value)
        else:
            words, vectors = read_vectors(path, set(WORDS))
            assert words == WORDS, path
            assert torch.allclose(vectors, right, rtol=0, atol=1e-4), path  # some are written with so few digits
