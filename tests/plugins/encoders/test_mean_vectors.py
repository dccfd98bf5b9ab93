from __future__ import annotations

import json
import math

import pytest
import torch
from gensim.models import KeyedVectors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dckt_core.base.errors import DataError
from dckt_core.data.manifest import load_manifest
from dckt_plugins.encoders.words import words_of
from tests.support.data import optional_data
from tests.support.encoding import encode
from tests.support.tolerance import approx, assert_same

TEXTS = ["Two dogs run along the beach.", "A cat sleeps on the sofa", "犬が海辺を走る", "كلبان يركضان على الشاطئ"] * 2


@pytest.fixture
def file(tmp_path):
    (tmp_path / "v.txt").write_text("4 3\nDogs 1 2 3\nrun 3 2 -1\ncat 0 0.5 0\nwombat 9 9 9\n")
    return str(tmp_path / "v.txt")


@pytest.mark.numerics
@pytest.mark.parametrize("normalize", [False, True])
def test_features_are_means_of_the_words_that_are_known(build, file, normalize):
    encoder = build("mean-vectors", texts=TEXTS, vectors=file, weights="none", unit=False, normalize=normalize)
    rows = encode(encoder, "dogs RUN", "the dogs, dogs run", "cat", "A wombat", "", "🐶")
    expected = torch.tensor([[2.0, 2, 1], [5 / 3, 2, 5 / 3], [0, 0.5, 0]])
    if normalize:
        expected /= expected.norm(dim=1, keepdim=True)
    assert_same(rows[:3], expected, terms=4)
    assert not rows[3:].any()  # 'wombat' is in no training text
    assert (rows.shape[1], encoder.dim, encoder.trainable) == (3, 3, False)
    assert not any(parameter.requires_grad for parameter in encoder.module.parameters())


def test_words_count_by_how_rare_they_are(build, file):
    """In these 5 texts dogs are in 3, running is in 1 and the cat in 1; of their 8 known words they are 5, 2 and 1."""
    texts = ["dogs dogs dogs", "dogs run run", "the dogs", "a cat", ""]
    dogs, run = torch.tensor([1.0, 2, 3]), torch.tensor([3.0, 2, -1])
    expected = {
        "none": (dogs + run) / 2,
        "idf": ((math.log(6 / 4) + 1) * dogs + (math.log(6 / 2) + 1) * run) / 2,
        "sif": (0.001 / (0.001 + 5 / 8) * dogs + 0.001 / (0.001 + 2 / 8) * run) / 2,
    }
    for weights, row in expected.items():
        options = {"vectors": file, "weights": weights, "unit": False}
        encoder = build("mean-vectors", texts=texts, normalize=False, **options)
        assert_same(encode(encoder, "the dogs run")[0], row, terms=2)
        encoder = build("mean-vectors", texts=texts, **options)
        assert_same(encode(encoder, "the dogs run")[0], row / row.norm(), terms=6)


def test_weights_are_those_of_the_words_that_are_read(build, file):
    """What lies beyond max_words counts for no weight, and a word that is only there has the largest."""
    encoder = build("mean-vectors", texts=["dogs run cat", "dogs cat"], vectors=file, max_words=2)
    numbers = {word: number for number, word in enumerate(encoder.state["words"], start=1)}
    weights = {word: float(encoder.module.weights[number]) for word, number in numbers.items()}
    expected = {"dogs": 1, "run": math.log(3 / 2) + 1, "cat": math.log(3 / 2) + 1}
    assert weights == approx(expected, scale=2, dtype=torch.float32)
    only_beyond = build("mean-vectors", texts=["dogs run cat", "dogs run"], vectors=file, max_words=2)
    row = only_beyond.state["words"].index("cat") + 1
    assert float(only_beyond.module.weights[row]) == approx(math.log(3) + 1, scale=2, dtype=torch.float32)


@given(st.lists(st.sampled_from(["dogs", "run", "cat"]), min_size=1, max_size=9), st.integers(2, 4), st.randoms())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_row_is_of_length_1_and_knows_neither_order_nor_repetition(build, file, words, times, draw):
    encoder = build("mean-vectors", texts=TEXTS, vectors=file)
    shuffled = draw.sample(words, len(words))
    rows = encode(encoder, " ".join(words), " ".join(shuffled), " ".join(words * times))
    assert_same(rows, rows[:1].expand(3, -1), terms=36, scale=1)
    assert_same(rows.norm(dim=1), torch.ones(3), terms=3)


def test_the_length_of_a_words_vector_makes_no_difference_to_unit_ones(build, file, tmp_path):
    longer = tmp_path / "longer.txt"
    longer.write_text("4 3\nDogs 4 8 12\nrun 3 2 -1\ncat 0 8 0\nwombat 9 9 9\n")
    for unit in (True, False):
        one, other = (build("mean-vectors", texts=TEXTS, vectors=str(path), unit=unit) for path in (file, longer))
        assert torch.equal(encode(one, "dogs run"), encode(other, "dogs run")) == unit


def test_two_words_written_together_count_as_these(build, file):
    encoder = build("mean-vectors", texts=TEXTS, vectors=file)
    assert torch.equal(encode(encoder, "dogsrun"), encode(encoder, "dogs run"))
    assert torch.equal(encode(encoder, "dogsrunx"), encode(encoder, ""))
    cut = build("mean-vectors", texts=TEXTS, vectors=file, max_words=1)
    assert torch.equal(encode(cut, "dogsrun"), encode(cut, "dogs"))


def test_words_that_have_vectors_are_told_from_others(build, file):
    encoder = build("mean-vectors", texts=["Dogs run", "the dogs"], vectors=file)
    again = build("mean-vectors", state=encoder.state)
    for made in (encoder, again):
        known = {"the": False, "dogs": True, "run": True, "dogsrun": True, "cat": False}
        assert made.words("The dogs run, dogsrun; cat") == list(known.items())
        assert made.words("") == []


@pytest.mark.parametrize("name", ["mean-vectors", "wordcnn"])
def test_words_are_learnt_where_there_is_no_file(build, file, name):
    assert build(name, texts=TEXTS).learns_words
    assert not build(name, texts=TEXTS, vectors=file).learns_words


def test_texts_are_cut_at_max_words(build, file):
    encoder = build("mean-vectors", texts=TEXTS, vectors=file, max_words=2)
    assert torch.equal(encode(encoder, "dogs run"), encode(encoder, "dogs run cat cat"))
    assert torch.equal(encode(encoder, "dogs"), encode(encoder, "dogs the run"))  # unknown words are read too
    assert [encoder.cut(text) for text in ("", "dogs run", "dogs the run", "dogs dogsrun")] == [
        False,
        False,
        True,
        True,
    ]


def test_vectors_are_learnt_from_the_texts_by_the_seed(build):
    one, again, other = (build("mean-vectors", texts=TEXTS, vector_size=7, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(encode(one, *TEXTS), encode(again, *TEXTS))
    assert not torch.equal(encode(one, *TEXTS), encode(other, *TEXTS))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    rows = encode(one, *TEXTS[:4])
    assert_same(rows.norm(dim=1), torch.ones(4), terms=7)
    assert len(rows.unique(dim=0)) == 4


def test_training_texts_may_have_no_words(build):
    encoder = build("mean-vectors", texts=["", "!"], vector_size=5)
    assert encode(encoder, "two dogs", "").shape == (2, 5)
    assert not encode(encoder, "two dogs", "").any()
    assert encoder.prepare([]).shape[0] == 0


@pytest.mark.parametrize("options", [{}, {"weights": "sif"}, {"weights": "none", "unit": False}])
def test_a_saved_encoder_comes_back(build, options):
    first = build("mean-vectors", texts=TEXTS, vector_size=6, **options)
    second = build("mean-vectors", state=json.loads(json.dumps(first.state)), seed=5, vector_size=6, **options)
    second.module.load_state_dict(first.module.state_dict())
    assert torch.equal(encode(first, *TEXTS, "wombat"), encode(second, *TEXTS, "wombat"))
    assert (second.fingerprint, second.state) == (first.fingerprint, first.state)


def test_fingerprints_tell_apart(build, file, tmp_path):
    (tmp_path / "other.txt").write_text("1 3\ndogs 1 2 4\n")
    prints = [
        build("mean-vectors", texts=TEXTS, **options).fingerprint
        for options in (
            {"vector_size": 6},
            {"vector_size": 6, "normalize": False},
            {"vector_size": 6, "max_words": 9},
            {"vector_size": 6, "unit": False},
            {"vector_size": 6, "weights": "none"},
            {"vector_size": 6, "weights": "sif"},
            {"vectors": file},
            {"vectors": str(tmp_path / "other.txt")},
        )
    ]
    assert len(set(prints)) == len(prints)


def test_a_file_of_vectors_that_is_not_there(build, tmp_path):
    with pytest.raises(DataError, match=r"absent.bin: no such file of word vectors"):
        build("mean-vectors", texts=TEXTS, vectors=str(tmp_path / "absent.bin"))


def test_real_vectors_bring_texts_of_a_class_together(build):
    """Real captions of 20 classes: the nearest text is of the same class far more often than one time in 20."""
    vectors, folder = optional_data("word_vectors/english_300d.bin", "pascal_sentences")
    pairs = load_manifest(folder)
    lines, labels = [pair.text for pair in pairs.pairs], torch.tensor(pairs.labels(pairs.pairs))
    plain = build("mean-vectors", texts=lines, vectors=str(vectors), max_words=1000, weights="none", unit=False)
    rows = encode(plain, *lines)
    known = KeyedVectors.load_word2vec_format(str(vectors), binary=True)
    for row, line in list(zip(rows, lines, strict=True))[:20]:
        words = words_of(line.replace("backwheel", "back wheel"))  # two of the words that the vectors have
        mean = torch.tensor(known.get_mean_vector([w for w in words if w in known], pre_normalize=False))
        assert_same(row, mean / mean.norm(), terms=300)
    weighted = encode(build("mean-vectors", texts=lines, vectors=str(vectors)), *lines)
    assert 0.4 < nearest_of_the_class(rows, labels) < nearest_of_the_class(weighted, labels)


def nearest_of_the_class(rows, labels):
    """Share of texts whose nearest other text is of their class."""
    cosines = (rows @ rows.T).fill_diagonal_(-1)
    return (labels[cosines.argmax(dim=1)] == labels).double().mean().item()
