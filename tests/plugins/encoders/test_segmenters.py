"""Texts without blanks are parted by a library that is chosen, and the rest as before."""

from __future__ import annotations

import re
import sys

import pytest
import torch

from dckt_core import EncoderContext, UsageError
from dckt_plugins.encoders import mean_vectors, segmenters
from dckt_plugins.encoders.catalogue import MeanVectorsOptions
from dckt_plugins.encoders.segmenters import Segmenter, segmenter_of
from dckt_plugins.encoders.words import Lexicon, Vocabulary, words_of

HAN = Segmenter("fake-1", re.compile("[\u4e00-\u9fff]+"), lambda run: [run[:1], run[1:]])


def test_the_segmenter_parts_its_own_script_and_the_lexicon_all_others():
    lexicon = Lexicon(["小狗", "หมา"])
    text = "two dogs 小狗在 หมาดำ"
    parted = words_of(text, lexicon=HAN.beside(lexicon))
    assert parted[:4] == ["two", "dogs", "小", "狗在"]
    assert parted[4:] == words_of("หมาดำ", lexicon=lexicon)


def test_a_segmenter_that_loses_letters_is_not_believed():
    lossy = Segmenter("fake-2", HAN.script, lambda run: [run[:1]])
    assert lossy.beside(Lexicon(["小狗"])).split("小狗在") == ["小狗", "在"]


def test_a_vocabulary_reads_what_the_segmenter_parts():
    assert Vocabulary(["小", "狗在", "小狗"], HAN).read("小狗在") == [0, 1]
    assert Vocabulary(["小", "狗在", "小狗"]).read("小狗在") == [2]


def test_the_encoder_s_fingerprint_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(segmenters._SEGMENTERS, "jieba", lambda of: HAN)

    def build(name):
        context = EncoderContext(seed=0, cache_dir=tmp_path, medium="text", texts=["小狗在跑步 a dog runs"] * 3)
        return mean_vectors.build(MeanVectorsOptions(vector_size=8, segmenter=name), context)

    plain, parted = build("longest"), build("jieba")
    assert "fake-1" in parted.fingerprint and "fake-1" not in plain.fingerprint
    assert [word for word, _ in parted.words("小狗在")] == ["小", "狗在"]
    assert parted.dim == 8 and torch.is_tensor(parted.module.vectors)


@pytest.mark.parametrize(("name", "extra"), [("jieba", "chinese"), ("pythainlp", "thai")])
def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch, name, extra):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=rf"encoder 'x' with segmenter '{name}' needs .*dckt\[{extra}\]"):
        segmenter_of(name, "x")


def test_jieba_knows_chinese():
    pytest.importorskip("jieba", reason="needs the extra chinese")
    found = segmenter_of("jieba", "x")
    assert found.beside(Lexicon()).split("小狗在沙滩跑步") == ["小狗", "在", "沙滩", "跑步"]


def test_pythainlp_knows_thai():
    pytest.importorskip("pythainlp", reason="needs the extra thai")
    found = segmenter_of("pythainlp", "x")
    assert found.beside(Lexicon()).split("หมาวิ่งบนชายหาด") == ["หมา", "วิ่ง", "บน", "ชายหาด"]
