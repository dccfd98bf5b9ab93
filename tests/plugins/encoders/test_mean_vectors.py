from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from gensim.models import KeyedVectors

from dckt_core.base.errors import DataError
from dckt_core.data.manifest import load_manifest
from dckt_plugins.encoders.words import words_of
from tests.support.encoding import encode
from tests.support.tolerance import assert_same

TEST_DATA = Path(os.environ.get("DCKT_TEST_DATA") or Path(__file__).parents[3].parent / "shared" / "data")
TEXTS = ["Two dogs run along the beach.", "A cat sleeps on the sofa", "犬が海辺を走る", "كلبان يركضان على الشاطئ"] * 2


@pytest.fixture
def file(tmp_path):
    (tmp_path / "v.txt").write_text("4 3\nDogs 1 2 3\nrun 3 2 -1\ncat 0 0.5 0\nwombat 9 9 9\n")
    return str(tmp_path / "v.txt")


@pytest.mark.parametrize("normalize", [False, True])
def test_features_are_means_of_the_words_that_are_known(build, file, normalize):
    encoder = build("mean-vectors", texts=TEXTS, vectors=file, normalize=normalize)
    rows = encode(encoder, "dogs RUN", "the dogs, dogs run", "cat", "A wombat", "", "🐶")
    expected = torch.tensor([[2.0, 2, 1], [5 / 3, 2, 5 / 3], [0, 0.5, 0]])
    if normalize:
        expected /= expected.norm(dim=1, keepdim=True)
    assert_same(rows[:3], expected, terms=4)
    assert not rows[3:].any()  # 'wombat' is in no training text
    assert (rows.shape[1], encoder.dim, encoder.trainable) == (3, 3, False)
    assert not any(parameter.requires_grad for parameter in encoder.module.parameters())


def test_texts_are_cut_at_max_words(build, file):
    encoder = build("mean-vectors", texts=TEXTS, vectors=file, max_words=2)
    assert torch.equal(encode(encoder, "dogs run"), encode(encoder, "dogs run cat cat"))
    assert torch.equal(encode(encoder, "dogs"), encode(encoder, "dogs the run"))  # unknown words are read too


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


def test_a_saved_encoder_comes_back(build):
    first = build("mean-vectors", texts=TEXTS, vector_size=6)
    second = build("mean-vectors", state=json.loads(json.dumps(first.state)), seed=5, vector_size=6)
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
    vectors, folder = TEST_DATA / "word_vectors" / "english_300d.bin", TEST_DATA / "pascal_sentences"
    if not (vectors.is_file() and folder.is_dir()):
        pytest.skip("needs the optional data (DCKT_TEST_DATA)")
    pairs = load_manifest(folder)
    lines, labels = [pair.text for pair in pairs.pairs], torch.tensor(pairs.labels(pairs.pairs))
    rows = encode(build("mean-vectors", texts=lines, vectors=str(vectors), max_words=1000), *lines)
    known = KeyedVectors.load_word2vec_format(str(vectors), binary=True)
    for row, line in zip(rows[:20], lines[:20], strict=True):
        mean = torch.tensor(known.get_mean_vector([w for w in words_of(line) if w in known], pre_normalize=False))
        assert_same(row, mean / mean.norm(), terms=300)
    cosines = (rows @ rows.T).fill_diagonal_(-1)
    same = (labels[cosines.argmax(dim=1)] == labels).double().mean().item()
    assert same > 0.4
