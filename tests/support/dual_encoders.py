"""Tiny models of the transformers library with two halves, of random weights, as folders that its own loading reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torch

from dckt_core.base.rng import seeded_construction
from dckt_plugins.encoders.hugging_face import no_bars
from tests.support.needs import part

DIM = 24
PLACES = 20
"""Tokens of a text."""
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
}
TEXT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
ENDS = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
LETTERS = [*ascii_lowercase, "犬", "が", "海", "ك", "▁"]


def clip(library: Any, folder: Path) -> Any:
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    numbers = {token: number for number, token in enumerate(vocabulary)}
    library.CLIPTokenizer(vocab=numbers, merges=[]).save_pretrained(folder)
    _pictures(library.CLIPImageProcessor, folder)
    text = {**TEXT, "max_position_embeddings": PLACES, "vocab_size": len(vocabulary)}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    return library.CLIPModel(library.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIM))


def siglip(library: Any, folder: Path) -> Any:
    _letters(library, folder, {"<pad>": 0, "</s>": 1, "<unk>": 2})
    library.SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    text = {**TEXT, "max_position_embeddings": PLACES, "vocab_size": 40, "projection_size": DIM, **ENDS}
    vision = {**VISION, "hidden_size": DIM}
    return library.SiglipModel(library.SiglipConfig(text_config=text, vision_config=vision))


def siglip2(library: Any, folder: Path) -> Any:
    _letters(library, folder, {"<pad>": 0, "</s>": 1, "<unk>": 2})
    library.Siglip2ImageProcessor(patch_size=16, max_num_patches=8).save_pretrained(folder)
    text = {**TEXT, "max_position_embeddings": PLACES, "vocab_size": 40, "projection_size": DIM, **ENDS}
    vision = {key: value for key, value in VISION.items() if key != "image_size"} | {"num_patches": 16}
    return library.Siglip2Model(library.Siglip2Config(text_config=text, vision_config=vision | {"hidden_size": DIM}))


def altclip(library: Any, folder: Path) -> Any:
    """XLM-RoBERTa reads the texts."""
    text = {**TEXT, **_xlm(library, folder), "project_dim": 16, "max_position_embeddings": PLACES + 2}
    _pictures(library.CLIPImageProcessor, folder)
    return library.AltCLIPModel(library.AltCLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIM))


def chinese_clip(library: Any, folder: Path) -> Any:
    """BERT reads the texts."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    numbers = {token: number for number, token in enumerate(vocabulary)}
    library.BertTokenizer(vocab=numbers).save_pretrained(folder)
    _pictures(library.ChineseCLIPImageProcessor, folder)
    text = {**TEXT, "max_position_embeddings": PLACES, "vocab_size": len(vocabulary)}
    config = library.ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=DIM)
    return library.ChineseCLIPModel(config)


def metaclip2(library: Any, folder: Path) -> Any:
    """The words of XLM-V, read by CLIP's transformer."""
    text = {**TEXT, **_xlm(library, folder), "max_position_embeddings": PLACES}
    _pictures(library.CLIPImageProcessor, folder)
    return library.MetaClip2Model(library.MetaClip2Config(text_config=text, vision_config=VISION, projection_dim=DIM))


KINDS: Mapping[str, Callable[[Any, Path], Any]] = {
    "CLIP": clip,
    "SigLIP": siglip,
    "SigLIP 2": siglip2,
    "AltCLIP": altclip,
    "ChineseCLIP": chinese_clip,
    "MetaCLIP 2": metaclip2,
}


def save(kind: str, folder: Path) -> Path:
    """A folder with a model of a kind, its tokenizer and how it prepares pictures."""
    library = part("transformers")
    with seeded_construction(1, "test"), no_bars(of="a test", extra="transformers"):
        model = KINDS[kind](library, folder).eval()
        with torch.no_grad():  # CLIP's own start is so near zero that nothing depends on the input
            for value in model.parameters():
                if value.ndim > 1:
                    value.normal_(std=0.2)
        model.save_pretrained(folder)
    return folder


def _pictures(processor: Any, folder: Path) -> None:
    size = {"shortest_edge": 32} if processor.__name__.startswith("CLIP") else {"height": 32, "width": 32}
    processor(size=size, crop_size={"height": 32, "width": 32}).save_pretrained(folder)


def _xlm(library: Any, folder: Path) -> dict[str, int]:
    """A tokenizer of letters, and what a configuration says of it."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = [*((token, 0.0) for token in special), *((letter, -2.0) for letter in LETTERS), ("<mask>", 0.0)]
    library.XLMRobertaTokenizer(vocab=vocabulary, model_max_length=512).save_pretrained(folder)
    return {"vocab_size": len(vocabulary), "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}


def _letters(library: Any, folder: Path, special: Mapping[str, int]) -> None:
    """A tokenizer of letters that ends texts with `</s>`, as SigLIP's do."""
    tokenizers = part("tokenizers")
    numbers = {**special, **{letter: len(special) + number for number, letter in enumerate(LETTERS)}}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=numbers, merges=[], unk_token="<unk>"))
    made.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Lowercase(), tokenizers.normalizers.Replace(" ", "▁")]
    )
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", special["</s>"])]
    )
    wrapped = library.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )
    wrapped.save_pretrained(folder)
