"""Models with two halves of the transformers library: tiny ones of every class, read by its own loading code."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
import torch

from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.discovery import discover
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import TextItem
from dckt_core.testing import assert_encoder_ok
from tests.support.dual_encoders import DIM, KINDS, PLACES, save
from tests.support.encoding import encode, features
from tests.support.needs import part
from tests.support.tolerance import assert_same, path_terms

library = part("transformers")
LINES = ["two dogs run", "dogs", "a dog", "犬が海", "كل", "🐶", "", "two dogs run along the beach"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: save(kind, tmp_path_factory.mktemp("model")) for kind in KINDS}


@pytest.fixture
def clip(folders, tmp_path):
    """A copy, to be spoilt."""
    return shutil.copytree(folders["CLIP"], tmp_path / "model")


def both(build, folder, **options):
    shared = {}
    halves = [build("transformers", medium=m, shared=shared, model=str(folder), **options) for m in ("image", "text")]
    assert len(shared) == 1, "the model is loaded once for both"
    return halves


@pytest.mark.numerics
@pytest.mark.parametrize("kind", KINDS)
def test_both_halves_are_the_librarys_own(build, pictures, folders, kind):
    image, text = both(build, folders[kind])
    model = library.AutoModel.from_pretrained(folders[kind], local_files_only=True).eval()
    tokenizer = library.AutoTokenizer.from_pretrained(folders[kind], local_files_only=True)
    processor = library.AutoImageProcessor.from_pretrained(folders[kind], local_files_only=True)
    tokens = tokenizer(LINES, padding="max_length", truncation=True, max_length=PLACES, return_tensors="pt")
    given = {"input_ids": tokens["input_ids"]}
    if "SigLIP" not in kind:
        given["attention_mask"] = tokens["attention_mask"]
    with torch.no_grad():
        images = model.get_image_features(**processor(images=[item.open() for item in pictures], return_tensors="pt"))
        texts = model.get_text_features(**given)
    assert image.dim == text.dim == DIM
    assert image.space == text.space is not None
    assert_same(features(image, pictures), unit(images.pooler_output), terms=path_terms(model))
    assert_same(encode(text, *LINES), unit(texts.pooler_output), terms=path_terms(model))
    assert len(torch.unique(encode(text, *LINES), dim=0)) >= 5
    assert len(torch.unique(features(image, pictures), dim=0)) == 3


def unit(rows):
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_contract(folders, kind, trainable):
    spec = discover(plugins=False).find("encoder", "transformers").spec
    settings = {"model": str(folders[kind]), "trainable": trainable}
    assert_encoder_ok(spec, parse_options(spec, settings, where="transformers"))


def test_a_half_holds_none_of_the_other(build, folders):
    image, text = both(build, folders["CLIP"])
    assert not any("text" in name for name in image.module.state_dict())
    assert not any("vis" in name for name in text.module.state_dict())


@pytest.mark.parametrize("kind", KINDS)
def test_texts_longer_than_the_model_has_places_for_are_cut_and_told_of(build, folders, kind):
    text = build("transformers", medium="text", model=str(folders[kind]))
    assert text.prepare([TextItem("x", "a")]).shape == (1, 2, PLACES)
    assert text.prepare([]).shape == (0, 2, PLACES)
    assert not text.cut("a dog")
    assert text.cut("a dog " * PLACES)
    short = build("transformers", medium="text", model=str(folders[kind]), max_tokens=6)
    assert short.prepare([TextItem("x", "a")]).shape == (1, 2, 6)
    assert short.cut("abcdefg" if kind != "AltCLIP" else "a b c d e f g")


def test_fingerprints_name_weights_and_settings_and_no_place(build, folders, tmp_path):
    moved = shutil.copytree(folders["CLIP"], tmp_path / "moved")
    first, again = both(build, folders["CLIP"]), both(build, moved)
    assert [encoder.fingerprint for encoder in first] == [encoder.fingerprint for encoder in again]
    config = json.loads((moved / "preprocessor_config.json").read_text())
    (moved / "preprocessor_config.json").write_text(json.dumps(config | {"image_mean": [0.1, 0.2, 0.3]}))
    other = both(build, moved)
    assert other[0].fingerprint != first[0].fingerprint
    assert other[1].fingerprint == first[1].fingerprint
    assert {encoder.space for encoder in (*first, *other)} == {first[0].space}
    assert first[0].space != both(build, folders["AltCLIP"])[0].space


# --- what is refused --------------------------------------------------------------------------------------------


class Runs:
    """A pickle that makes a file when it is read."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_weights_that_would_run_code_are_refused(build, clip, tmp_path):
    (clip / "model.safetensors").unlink()
    torch.save({"x": Runs(tmp_path / "ran")}, clip / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"model: not a model of transformers: "):
        build("transformers", medium="text", model=str(clip))
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_brings_code_is_refused(build, clip, tmp_path):
    (clip / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    config = json.loads((clip / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModel": "mine.Mine"}}
    (clip / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"model: not a model of transformers: The repository .* contains c"):
        build("transformers", medium="text", model=str(clip))
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_not_all_there(build, clip):
    from safetensors.torch import load_file, save_file

    weights = load_file(clip / "model.safetensors")
    save_file(
        {n: w for n, w in weights.items() if n != "text_projection.weight"},
        clip / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(DataError, match="model: not CLIPModel's weights: 'text_projection.weight' is missing"):
        build("transformers", medium="image", model=str(clip))
    weights["text_projection.weight"].fill_(torch.nan)
    save_file(weights, clip / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match="model: 'text_projection.weight' holds numbers that are not finite"):
        build("transformers", medium="image", model=str(clip))


def test_a_model_without_halves(build, tmp_path):
    from dckt_core.base.rng import seeded_construction

    config = library.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    with seeded_construction(0, "test"):
        library.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"a BertModel, which has no half for images and one for texts$"):
        build("transformers", medium="text", model=str(tmp_path))


def test_a_folder_without_a_model_or_a_tokenizer(build, clip, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=rf"^{tmp_path}/empty: not a model of transformers: "):
        build("transformers", medium="text", model=str(tmp_path / "empty"))
    (clip / "preprocessor_config.json").unlink()
    with pytest.raises(DataError, match=r"model: not a model of transformers: "):
        build("transformers", medium="image", model=str(clip))


def test_a_failed_download_names_the_alternatives(build, monkeypatch):
    asked = []

    def refuse(*args, **kwargs):
        asked.append((args, kwargs["revision"], kwargs["trust_remote_code"], kwargs["local_files_only"]))
        raise OSError("no route\nto host")

    monkeypatch.setattr(library.AutoModel, "from_pretrained", refuse)
    message = (
        r"^'nobody/nothing' is no folder and, as a name, cannot be downloaded \(no route to host\); take model=FOLDER"
    )
    with pytest.raises(UsageError, match=message):
        build("transformers", medium="text", model="nobody/nothing", revision="v1")
    assert asked == [(("nobody/nothing",), "v1", False, False)]


def test_it_prints_nothing(build, folders, capfd):
    encode(both(build, folders["SigLIP 2"])[1], *LINES, "long " * 100)
    assert capfd.readouterr() == ("", "")


def test_without_the_package_the_extra_is_named(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    message = r"^encoder 'transformers' needs transformers, .*'dckt\[transformers\]'$"
    with pytest.raises(UsageError, match=message):
        build("transformers", medium="image")
