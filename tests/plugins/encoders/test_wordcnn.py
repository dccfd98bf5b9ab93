from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

from dckt_core.base.errors import UsageError
from dckt_core.contract.pairs import TextItem
from dckt_plugins.encoders.wordcnn import FIRST, PADDING, UNKNOWN, WordCNN
from tests.support.tolerance import assert_same

TEXTS = ["Two dogs run along the beach.", "A cat sleeps on the sofa", "犬が海辺を走る", "كلبان يركضان على الشاطئ"] * 2


@pytest.fixture(scope="module")
def encoder(build):
    return build("wordcnn", texts=TEXTS, vector_size=12, dim=10)


def item(text):
    return TextItem("x", text)


@torch.no_grad()
def encode(encoder, *lines):
    return encoder.module.eval()(encoder.prepare([item(line) for line in lines]))


def by_hand(module, numbers):
    """The definition, a text and a window at a time."""
    values = []
    for convolution, width in zip(module.convolutions, module.windows, strict=True):
        padded = numbers + [PADDING] * max(0, width - len(numbers))
        windows = [padded[start : start + width] for start in range(len(padded) - width + 1)]
        responses = [
            (convolution.weight * module.vectors[window].T).sum(dim=(1, 2)) + convolution.bias for window in windows
        ]
        values.append(torch.stack(responses).relu().amax(dim=0))
    return torch.cat(values) * bool(numbers)


@pytest.mark.numerics
@torch.no_grad()
def test_features_are_max_over_time_of_windows():
    generator = torch.Generator().manual_seed(0)
    module = WordCNN(torch.randn(20, 6, generator=generator), (2, 3, 5), 11, generator)
    for convolution in module.convolutions:
        torch.nn.init.normal_(convolution.bias, generator=generator)  # a bias that is not 0 shows windows too many
    rows = [[], [3], [4, 5], [UNKNOWN, 6, 7], list(range(2, 12)), [9] * 20]
    table = torch.zeros(len(rows), 25, dtype=torch.int32)
    for row, numbers in enumerate(rows):
        table[row, : len(numbers)] = torch.tensor(numbers, dtype=torch.int32)
    assert_same(module(table), torch.stack([by_hand(module, numbers) for numbers in rows]), terms=5 * 6)


@pytest.mark.numerics
def test_neither_padding_nor_the_rest_of_the_batch_matters(build, encoder):
    lines = ["dogs", "two dogs run", "a cat " * 40, "", "犬が海辺を走る"]
    together = encode(encoder, *lines)
    for row, line in zip(together, lines, strict=True):
        assert_same(encode(encoder, line)[0], row, terms=5 * 12)
    roomy = build("wordcnn", texts=TEXTS, vector_size=12, dim=10, max_words=1000)
    assert_same(encode(roomy, *lines), together, terms=5 * 12)


@pytest.mark.parametrize("line", ["", " \n", "!?", "🐶🐶🌊"])
def test_a_text_without_words_gives_zeros(encoder, line):
    assert not encode(encoder, line).any()


def test_an_unknown_word_counts_as_the_mean_of_all_vectors(encoder):
    assert torch.equal(encode(encoder, "two platypuses run"), encode(encoder, "two wombats run"))
    assert encode(encoder, "platypus").any()
    vectors = encoder.module.vectors
    assert_same(vectors[UNKNOWN], vectors[FIRST:].mean(dim=0), terms=len(vectors))
    assert not vectors[PADDING].any()


def test_words_that_have_vectors_are_told_from_others(encoder):
    assert encoder.words("Two platypuses run") == [("two", True), ("platypuses", False), ("run", True)]


def test_every_script_tells_texts_apart(encoder):
    rows = encode(encoder, *TEXTS[:4], "海辺", "犬", "الشاطئ")
    assert torch.isfinite(rows).all()
    assert len(rows.unique(dim=0)) == len(rows)


def test_texts_are_cut_at_max_words(build):
    encoder = build("wordcnn", texts=TEXTS, vector_size=12, dim=10, max_words=3)
    assert torch.equal(encode(encoder, "two dogs run"), encode(encoder, "two dogs run a cat sleeps"))
    assert [encoder.cut(text) for text in ("", "two dogs run", "two dogs the run")] == [False, False, True]
    long = "dogs run " * 500_000
    assert encoder.cut(long)
    assert encoder.prepare([item(long)]).shape == (1, 3)


def test_no_items(encoder):
    inputs = encoder.prepare([])
    assert encoder.module(inputs).shape == (0, 10)


def test_training_texts_may_have_no_words(build):
    for texts in ([], [""]):
        rows = encode(build("wordcnn", texts=texts, vector_size=12, dim=10), "two dogs", "")
        assert torch.isfinite(rows).all()
        assert not rows[1].any()


def test_convolutions_learn_and_vectors_do_not(encoder):
    encoder.module(encoder.prepare([item(line) for line in TEXTS])).sum().backward()
    assert {name.split(".")[0] for name, _ in encoder.module.named_parameters()} == {"convolutions"}
    assert all(parameter.grad.any() for parameter in encoder.module.parameters())
    assert encoder.trainable
    encoder.module.zero_grad()


@pytest.mark.parametrize("trainable", [True, False])
def test_a_saved_encoder_comes_back(build, trainable):
    first = build("wordcnn", texts=TEXTS, vector_size=12, dim=10, trainable=trainable)
    state = json.loads(json.dumps(first.state))
    second = build("wordcnn", state=state, seed=5, vector_size=12, dim=10, trainable=trainable)
    second.module.load_state_dict(first.module.state_dict())
    assert torch.equal(encode(first, *TEXTS, "wombat"), encode(second, *TEXTS, "wombat"))
    assert second.fingerprint == first.fingerprint
    assert second.state == first.state


def test_fingerprints_tell_apart(build, tmp_path):
    for name, value in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.txt").write_text(f"1 2\ndogs {value} 2\n")
    prints = [
        build("wordcnn", texts=TEXTS, dim=10, **options).fingerprint
        for options in (
            {"vector_size": 12},
            {"vector_size": 13},
            {"vector_size": 12, "seed": 1},
            {"vector_size": 12, "windows": "2,3"},
            {"vector_size": 12, "max_words": 10},
            {"vectors": str(tmp_path / "a.txt")},
            {"vectors": str(tmp_path / "b.txt")},
        )
    ]
    assert len(set(prints)) == len(prints)
    other = build("wordcnn", texts=[*TEXTS, "one more"], dim=10, vector_size=12).fingerprint
    assert other not in prints


def test_vectors_of_a_file_are_used(build, tmp_path):
    (tmp_path / "v.txt").write_text("2 3\nDogs 1 2 3\nrun 4 5 6\n")
    encoder = build("wordcnn", texts=TEXTS, dim=10, vectors=str(tmp_path / "v.txt"))
    numbers = encoder.prepare([item("two dogs run")])[0, :3]
    known = torch.nn.functional.normalize(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    expected = torch.cat([known.mean(0, keepdim=True), known])
    assert_same(encoder.module.vectors[numbers], expected, terms=3)


@pytest.mark.parametrize("windows", ["", "2,", "a", "0,1", "2,2", "101", "-1"])
def test_windows_must_be_widths(build, windows):
    with pytest.raises(UsageError, match="option 'windows' of encoder 'wordcnn' takes different widths"):
        build("wordcnn", windows=windows)


def test_every_window_needs_a_value(build):
    with pytest.raises(UsageError, match="4 values are too few for 5 windows"):
        build("wordcnn", dim=4, windows="1,2,3,4,5")


def test_same_seed_same_bits_in_processes_that_hash_differently(build):
    code = (
        "from pathlib import Path\n"
        "from dckt_core.contract.protocols import EncoderContext\n"
        "from dckt_plugins.encoders.catalogue import WordCNNOptions\nfrom dckt_plugins.encoders.wordcnn import build\n"
        f"context = EncoderContext(seed=3, cache_dir=Path('unused'), texts={TEXTS!r})\n"
        "print(build(WordCNNOptions(vector_size=12), context).fingerprint)"  # names every weight
    )
    environment = os.environ | {"PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"}
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    here = build("wordcnn", texts=TEXTS, seed=3, vector_size=12).fingerprint
    assert there.stdout.strip() == here
    assert here.startswith("wordcnn/")
