"""What open_clip alone has: two halves of one model, tags of weights with their colours and activations, folders."""

from __future__ import annotations

import json
import logging
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import ImageItem
from dckt_plugins.encoders.catalogue import OpenClipOptions
from dckt_plugins.encoders.open_clip import USUAL
from dckt_plugins.extras import quiet_root_logger
from tests.support.encoding import encode, features, seeded
from tests.support.needs import part
from tests.support.tolerance import assert_same, path_terms

open_clip = part("open_clip")
FROM_DOWNLOAD = "open_clip.factory.download_pretrained"
TINY = "dckt-tiny"


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory):
    """A model of open_clip's own making that is quickly built, with two tags of published weights."""
    vision = {"image_size": 64, "layers": 2, "width": 64, "patch_size": 32}
    text = {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    file = tmp_path_factory.mktemp("config") / f"{TINY}.json"
    file.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(file)
    published = {"url": "", "hf_hub": "nobody/nothing/", "mean": (0.5,) * 3, "std": (0.25,) * 3}
    tags = {"plain": published, "quick": published | {"quick_gelu": True}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(open_clip.pretrained._PRETRAINED, TINY, tags)
        yield


@pytest.fixture(scope="module")
def network(tiny):
    with quiet_root_logger():
        return seeded(open_clip.create_model, TINY, pretrained=None)


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "clip.pt"
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    return path


def test_the_image_half_alone_is_enough_of_a_file(build, pictures, network, file, tmp_path):
    save_file(network.visual.state_dict(), tmp_path / "half.safetensors")
    half = build("open-clip", model=TINY, weights=str(tmp_path / "half.safetensors"))
    whole = build("open-clip", model=TINY, weights=str(file))
    assert half.fingerprint == whole.fingerprint
    assert torch.equal(features(half, pictures), features(whole, pictures))
    assert not any("text" in name or "token" in name for name in half.module.state_dict())


def test_published_weights_come_with_their_activation(build, monkeypatch, network, tmp_path):
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    asked = []

    def fetch(published, **kwargs):
        asked.append(published)
        return str(tmp_path / "w.safetensors")

    monkeypatch.setattr(FROM_DOWNLOAD, fetch)
    for tag, activation in (("plain", "GELU"), ("quick", "QuickGELU")):
        half = build("open-clip", model=TINY, weights=tag).module.network
        assert asked.pop() == open_clip.get_pretrained_cfg(TINY, tag)
        assert torch.equal(half.proj, network.visual.proj)
        assert [type(block.mlp.gelu).__name__ for block in half.transformer.resblocks] == [activation] * 2


def test_the_default_is_published(monkeypatch, build):
    model = OpenClipOptions().model
    assert USUAL in open_clip.list_pretrained_tags_by_model(model)
    asked = []
    monkeypatch.setattr(FROM_DOWNLOAD, lambda published, **kwargs: asked.append(published) or 1 / 0)
    for name, tag in ((model, USUAL), (TINY, "plain")):
        with pytest.raises(UsageError, match=f"open_clip's weights {tag} of {name} cannot be downloaded"):
            build("open-clip", model=name)
        assert asked.pop() == open_clip.get_pretrained_cfg(name, tag)


def test_colours_are_those_of_the_published_weights(build, monkeypatch):
    """A file does not say them; a model that nobody published has open_clip's own."""
    normalized = build("open-clip", model=TINY, weights="none").module.normalized
    assert normalized.mean.flatten().tolist() == [0.5] * 3
    assert normalized.std.flatten().tolist() == [0.25] * 3
    monkeypatch.delitem(open_clip.pretrained._PRETRAINED, TINY)
    mean = build("open-clip", model=TINY, weights="none").module.normalized.mean
    assert mean.flatten().tolist() == pytest.approx(open_clip.OPENAI_DATASET_MEAN)


def test_a_model_that_gives_more_than_the_embedding(build, pictures):
    encoder = build("open-clip", model="coca_ViT-B-32", weights="none", size=64)
    assert features(encoder, pictures).shape == (3, 512) == (3, encoder.dim)


def test_typos_are_suggested(build):
    with pytest.raises(UsageError, match="open_clip has no model 'ViT-B32': did you mean 'ViT-B-32'"):
        build("open-clip", model="ViT-B32")
    message = "'laion2b' is neither a file nor a tag of open_clip's ViT-B-32: did you mean 'laion2b_e16'.*none"
    with pytest.raises(UsageError, match=message):
        build("open-clip", weights="laion2b")


def test_a_text_half_that_must_be_asked_for(build, monkeypatch):
    """The shape of some models' text half is published elsewhere, even where no weights are wanted."""

    def refuse(*args, **kwargs):
        raise OSError("no route\nto host")

    part("transformers")
    monkeypatch.setattr("open_clip.hf_model.AutoConfig.from_pretrained", refuse)
    with pytest.raises(UsageError, match=r"^open-clip/roberta-ViT-B-32 cannot be built: no route to host$"):
        build("open-clip", model="roberta-ViT-B-32", weights="none", size=32)


def test_files_that_do_not_fit(build, file, tmp_path, network):
    with pytest.raises(DataError, match=r"clip.pt: not ViT-S-32-alt's image half's weights: '.*' is"):
        build("open-clip", model="ViT-S-32-alt", weights=str(file))
    path = tmp_path / "nan.pt"
    torch.save(network.state_dict() | {"visual.proj": torch.full_like(network.visual.proj, torch.nan)}, path)
    with pytest.raises(DataError, match=r"nan.pt: 'proj' holds numbers that are not finite"):
        build("open-clip", model=TINY, weights=str(path))


def test_it_prints_nothing_and_leaves_the_root_logger_alone(build, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    build("open-clip", model=TINY, weights="none", size=64)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == []


# --- both halves ------------------------------------------------------------------------------------------------

LINES = ["Two dogs run along the beach.", "Dogs", "犬が海辺を走る", "🐶", ""]


def both(build, **options):
    shared = {}
    return [build("open-clip", medium=medium, shared=shared, **options) for medium in ("image", "text")], shared


@pytest.mark.numerics
def test_both_halves_are_the_librarys_own(build, pictures, network, file):
    (image, text), shared = both(build, model=TINY, weights=str(file))
    assert len(shared) == 1, "the model is loaded once for both"
    assert (image.dim, text.dim) == (24, 24)
    assert image.space == text.space is not None
    tokens = open_clip.get_tokenizer(TINY)(LINES)
    with torch.no_grad():
        texts = network.encode_text(tokens, normalize=True)
        images = network.encode_image(image.module.normalized(image.prepare(pictures)), normalize=True)
    assert_same(encode(text, *LINES), texts, terms=path_terms(network))
    assert_same(features(image, pictures), images, terms=path_terms(network))


def test_a_trained_model_alone_names_a_space(build, network, file, tmp_path):
    assert build("open-clip", medium="text", model=TINY, weights="none").space is None
    save_file(network.visual.state_dict(), tmp_path / "half.safetensors")
    assert build("open-clip", medium="image", model=TINY, weights=str(tmp_path / "half.safetensors")).space is None
    with pytest.raises(
        DataError, match=r"^the weights of dckt-tiny are those of its image half alone, and not of texts"
    ):
        build("open-clip", medium="text", model=TINY, weights=str(tmp_path / "half.safetensors"))
    sized = build("open-clip", medium="image", model=TINY, weights=str(file))
    assert sized.space == build("open-clip", medium="text", model=TINY, weights=str(file)).space


def test_the_text_half_by_itself(build, network, file, tmp_path):
    with quiet_root_logger():
        custom = seeded(open_clip.create_model, TINY, pretrained=str(file), force_custom_text=True)
    save_file(custom.text.state_dict(), tmp_path / "texts.safetensors")
    half = build("open-clip", medium="text", model=TINY, weights=str(tmp_path / "texts.safetensors"))
    whole = build("open-clip", medium="text", model=TINY, weights=str(file))
    assert torch.equal(encode(half, *LINES), encode(whole, *LINES))
    assert half.space is None


def test_texts_longer_than_the_context_are_cut_and_told_of(build, file):
    text = build("open-clip", medium="text", model=TINY, weights=str(file))
    six, seven = "a dog and a red ball", "a dog and a red ball too"  # begin and end of a text are tokens as well: 8
    assert [text.cut(line) for line in ("", six, seven)] == [False, False, True]
    assert torch.equal(encode(text, seven), encode(text, f"{seven} many"))
    assert not torch.equal(encode(text, six), encode(text, "a dog and a red"))


def test_models_that_squash_their_pictures(build, monkeypatch, tmp_path):
    """As the SigLIP models do; told by the published weights, or by a folder."""
    published = open_clip.pretrained._PRETRAINED[TINY]["plain"] | {"resize_mode": "squash"}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, TINY, {"plain": published})
    left = Image.new("RGB", (30, 10), "red")
    left.paste("blue", (0, 0, 10, 10))
    left.save(tmp_path / "wide.png")
    prepared = build("open-clip", model=TINY, weights="none").prepare([ImageItem("wide", tmp_path / "wide.png")])[0]
    assert prepared[:, 32, 4].tolist() == [0, 0, 255]
    assert prepared[:, 32, 60].tolist() == [255, 0, 0]


# --- folders ----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(network, tmp_path):
    """A model with its configuration and weights, as they lie on the Hugging Face Hub."""
    folder = tmp_path / "model"
    folder.mkdir()
    colours = {"mean": [0.4] * 3, "std": [0.3] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    config = {"model_cfg": open_clip.get_model_config(TINY), "preprocess_cfg": colours}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def test_a_folder_has_all_that_a_model_needs(build, folder, file, pictures, tmp_path):
    (image, text), shared = both(build, model=str(folder))
    assert len(shared) == 1
    assert image.space == text.space is not None
    assert torch.equal(
        encode(text, *LINES), encode(build("open-clip", medium="text", model=TINY, weights=str(file)), *LINES)
    )
    assert image.module.normalized.mean.flatten().tolist() == pytest.approx([0.4] * 3)
    assert features(image, pictures).shape == (3, 24)
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert build("open-clip", medium="text", model=str(moved)).fingerprint == text.fingerprint
    with pytest.raises(UsageError, match=r"model has its weights with it: leave weights= out$"):
        build("open-clip", medium="text", model=str(folder), weights="none")


def test_a_folder_that_would_run_code_is_refused(build, folder, network, tmp_path):
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"model: not a model of open_clip: it asks for code of its own to be run"):
        build("open-clip", medium="text", model=str(folder))


def test_weights_that_would_run_code_are_refused(build, folder, network, tmp_path):
    (folder / "open_clip_model.safetensors").unlink()
    torch.save(network.state_dict() | {"x": Runs(tmp_path / "ran")}, folder / "open_clip_pytorch_model.bin")
    with pytest.raises(DataError, match=r"model: not a model of open_clip: "):
        build("open-clip", medium="text", model=str(folder))
    assert not (tmp_path / "ran").exists()
    (folder / "open_clip_pytorch_model.bin").unlink()
    with pytest.raises(DataError, match=r"model: not a model of open_clip: "):
        build("open-clip", medium="text", model=str(folder))


class Runs:
    """A pickle that makes a file when it is read."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_a_tokenizer_that_must_be_asked_for(build, monkeypatch):
    """Those of the SigLIP models are published elsewhere."""
    part("transformers")

    def refuse(*args, **kwargs):
        raise OSError("no route\nto host")

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", refuse)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, TINY, siglip := open_clip.get_model_config(TINY))
    siglip["text_cfg"]["hf_tokenizer_name"] = "nobody/nothing"
    message = (
        r"^the tokenizer of dckt-tiny cannot be downloaded \(no route to host\); take --text-encoder-opt model=FOLDER"
    )
    with pytest.raises(UsageError, match=message):
        build("open-clip", medium="text", model=TINY, weights="none")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (OSError("no route\nto host"), "no route to host"),
        ({"model_cfg": {"text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}}}, "it asks for code of its own"),
    ],
)
def test_a_model_of_the_hub_that_cannot_be_had(build, monkeypatch, answer, said):
    def fetch(model, **kwargs):
        assert model == "nobody/nothing"
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(open_clip.factory, "_get_hf_config", fetch)
    with pytest.raises(UsageError, match=rf"^hf-hub:nobody/nothing cannot be downloaded \({said}"):
        build("open-clip", medium="text", model="hf-hub:nobody/nothing")
