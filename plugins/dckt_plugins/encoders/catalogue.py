"""The encoders in the box: their names and options. What builds them is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from dckt_core import EncoderSpec, hookimpl

Side = Annotated[int, Ge(32), Le(2048)]
OwnSide = Annotated[Side | None, "pixels of a side of the square input; by default the model's own"]
Trainable = Annotated[bool, "train it along, a copy for each domain, instead of caching its features"]
Vectors = Annotated[
    str | None, "a file of word vectors, of word2vec, GloVe or fastText; by default Word2Vec learns them here"
]
VectorSize = Annotated[int, Ge(1), Le(4096), "values of a word vector learnt here"]
Segmenter = Annotated[
    Literal["longest", "jieba", "pythainlp"],
    "what parts Chinese (jieba) or Thai (pythainlp) into words; else the longest that have vectors",
]
MaxWords = Annotated[int, Ge(1), Le(100_000), "words of a text that are read; the rest is left out"]


@dataclass(frozen=True)
class VGG19Options:
    """What `--encoder-opt` takes."""

    layer: Annotated[Literal["pool5", "fc6", "fc7"], "whose output is the feature row"] = "pool5"
    weights: Annotated[str, "imagenet (downloaded by torchvision), none (random), or a file of weights"] = "imagenet"
    size: Annotated[Side, "pixels of a side of the square input"] = 224
    trainable: Trainable = False


@dataclass(frozen=True)
class TorchvisionOptions:
    """What `--encoder-opt` takes."""

    model: Annotated[str, "torchvision's name of a classification model, such as resnet50 or vit_b_16"] = "resnet50"
    weights: Annotated[str, "imagenet (downloaded by torchvision), none (random), or a file of weights"] = "imagenet"
    size: OwnSide = None
    trainable: Trainable = False


@dataclass(frozen=True)
class TimmOptions:
    """What `--encoder-opt` takes."""

    model: Annotated[str, "timm's name of a model, such as resnet50.a1_in1k or vit_base_patch16_224"] = (
        "resnet50.a1_in1k"
    )
    weights: Annotated[str, "pretrained (downloaded by timm), none (random), or a file of weights"] = "pretrained"
    size: OwnSide = None
    trainable: Trainable = False


@dataclass(frozen=True)
class OpenClipOptions:
    """What `--encoder-opt` and `--text-encoder-opt` take."""

    model: Annotated[str, "open_clip's name of a model, a folder with one, or hf-hub:NAME"] = "ViT-B-32"
    weights: Annotated[
        str, "of a named model: pretrained or a tag (downloaded by open_clip), none (random), or a file of weights"
    ] = "pretrained"
    size: OwnSide = None
    trainable: Trainable = False


@dataclass(frozen=True)
class TransformersOptions:
    """What `--encoder-opt` and `--text-encoder-opt` take."""

    model: Annotated[str, "a folder with a saved model, or a published name (downloaded once by the library)"] = (
        "openai/clip-vit-base-patch32"
    )
    revision: Annotated[str, "of a published model: a branch, a tag or a commit"] = "main"
    max_tokens: Annotated[
        int | None, Ge(4), Le(32_768), "tokens of a text that are read; by default as many as the model has places for"
    ] = None
    trainable: Trainable = False


@dataclass(frozen=True)
class WordCNNOptions:
    """What `--text-encoder-opt` takes."""

    vectors: Vectors = None
    vector_size: VectorSize = 300
    dim: Annotated[int, Ge(4), "values of a text, shared out over the windows"] = 300
    windows: Annotated[str, "widths of the windows, in words, with commas between"] = "2,3,4,5"
    max_words: MaxWords = 200
    segmenter: Segmenter = "longest"
    trainable: Annotated[bool, "train the convolutions with the text path; False leaves them random"] = True


@dataclass(frozen=True)
class MeanVectorsOptions:
    """What `--text-encoder-opt` takes."""

    vectors: Vectors = None
    vector_size: VectorSize = 300
    unit: Annotated[bool, "scale each word's vector to length 1"] = True
    weights: Annotated[
        Literal["none", "idf", "sif"],
        "how words count: alike, by inverse document frequency, by smooth inverse frequency",
    ] = "idf"
    max_words: MaxWords = 200
    segmenter: Segmenter = "longest"
    normalize: Annotated[bool, "scale each text's mean to length 1"] = True


@dataclass(frozen=True)
class SentenceTransformersOptions:
    """What `--text-encoder-opt` takes."""

    model: Annotated[str, "a folder with a saved model, or a published name (downloaded once by the library)"] = (
        "sentence-transformers/all-MiniLM-L6-v2"
    )
    max_tokens: Annotated[
        int, Ge(8), Le(32_768), "tokens of a text that are read, at most the model's own; the rest is left out"
    ] = 256


@dataclass(frozen=True)
class PrecomputedOptions:
    """What `--encoder-opt` and `--text-encoder-opt` take."""

    target: Annotated[
        str | None, "the target's features: .npz, .npy, .parquet, .safetensors, .mat, or a folder of dckt extract"
    ] = None
    source: Annotated[str | None, "file of the source's features; may be the same one"] = None
    target_ids: Annotated[
        str | None, "whose the rows are, in their order: the manifest (.jsonl), or a text file with an id a line"
    ] = None
    source_ids: Annotated[str | None, "the same for the source's file"] = None
    key: Annotated[
        str | None, "array with the features where a file holds several; a,b for rows of a, then rows of b"
    ] = None
    dim: Annotated[int | None, Ge(1), "values of a row, where there is no file: takes rows as they are, no items"] = (
        None
    )
    space: Annotated[
        str | None, "a name for what images and texts share: said of both, their rows compare with one another"
    ] = None


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="vgg19",
            modality="image",
            summary="VGG19 up to pool5, fc6 or fc7 (the method's own)",
            options=VGG19Options,
            build="dckt_plugins.encoders.vgg19:build",
            api="1.0",
        ),
        EncoderSpec(
            name="torchvision",
            modality="image",
            summary="any torchvision classification model, up to its last features",
            options=TorchvisionOptions,
            build="dckt_plugins.encoders.torchvision:build",
            models="dckt_plugins.encoders.torchvision:known_models",
            api="1.0",
        ),
        EncoderSpec(
            name="timm",
            modality="image",
            summary="any image model of timm, pooled features (extra: timm)",
            options=TimmOptions,
            build="dckt_plugins.encoders.timm:build",
            models="dckt_plugins.encoders.timm:known_models",
            api="1.0",
        ),
        EncoderSpec(
            name="open-clip",
            modality="both",
            summary="images and texts in the space of a CLIP model of open_clip (extra: open-clip)",
            options=OpenClipOptions,
            build="dckt_plugins.encoders.open_clip:build",
            models="dckt_plugins.encoders.open_clip:known_models",
            api="1.0",
        ),
        EncoderSpec(
            name="transformers",
            modality="both",
            summary="images and texts in the space of CLIP, SigLIP and their kin (extra: transformers)",
            options=TransformersOptions,
            build="dckt_plugins.encoders.transformers:build",
            api="1.0",
        ),
        EncoderSpec(
            name="precomputed-image",
            modality="image",
            by_id=True,
            summary="image features from a file, by pair",
            options=PrecomputedOptions,
            build="dckt_plugins.encoders.precomputed:build_image",
            api="1.0",
        ),
        EncoderSpec(
            name="wordcnn",
            modality="text",
            summary="Word CNN over Word2Vec vectors (the method's own)",
            options=WordCNNOptions,
            build="dckt_plugins.encoders.wordcnn:build",
            api="1.0",
        ),
        EncoderSpec(
            name="mean-vectors",
            modality="text",
            summary="weighted mean of a text's word vectors, from a file or Word2Vec",
            options=MeanVectorsOptions,
            build="dckt_plugins.encoders.mean_vectors:build",
            api="1.0",
        ),
        EncoderSpec(
            name="sentence-transformers",
            modality="text",
            summary="sentence embeddings of a transformer (extra: sentence-transformers)",
            options=SentenceTransformersOptions,
            build="dckt_plugins.encoders.sentence_transformers:build",
            api="1.0",
        ),
        EncoderSpec(
            name="precomputed-text",
            modality="text",
            by_id=True,
            summary="text features from a file, by pair",
            options=PrecomputedOptions,
            build="dckt_plugins.encoders.precomputed:build_text",
            api="1.0",
        ),
    ]
