"""`sentence-transformers`: a frozen transformer of that library's form, from tokens to unit vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dckt_core import DataError, Encoder, EncoderContext, TextItem, UsageError, tensors_digest
from dckt_plugins.encoders.catalogue import SentenceTransformersOptions
from dckt_plugins.encoders.hugging_face import no_bars, spelling
from dckt_plugins.encoders.weights import downloaded, one_line
from dckt_plugins.extras import need

WHO, EXTRA = "encoder 'sentence-transformers'", "sentence-transformers"
ALTERNATIVES = "--text-encoder-opt model=FOLDER for one that is saved on disk, or another --text-encoder"


class SentenceEmbedding(nn.Module):
    """Token numbers and their mask, int32 [n, 2, L], to embeddings [n, dim] of length 1."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)

    def forward(self, tokens: Tensor) -> Tensor:
        longest = int(tokens[:, 1].sum(dim=1).max())
        numbers, mask = tokens[:, :, :longest].long().unbind(dim=1)  # the padding beyond the batch's longest is idle
        embedded: Tensor = self.network({"input_ids": numbers, "attention_mask": mask})["sentence_embedding"]
        return F.normalize(embedded, dim=1)


def build(options: SentenceTransformersOptions, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.SentenceTransformersOptions`.

    Raises:
        UsageError: the library is not installed, the model cannot be downloaded, or is of a kind without tokens.
        DataError: the folder does not hold a model that can be read.
    """
    library: Any = need("sentence_transformers", of=WHO, extra=EXTRA)
    folder = Path(options.model)

    def load() -> Any:
        with no_bars(of=WHO, extra=EXTRA):
            return library.SentenceTransformer(
                options.model, device="cpu", local_files_only=folder.is_dir(), model_kwargs={"dtype": torch.float32}
            ).eval()

    if folder.is_dir():
        try:
            network = load()
        except Exception as error:
            raise DataError(f"{folder}: not a model of sentence-transformers: {one_line(error)}") from None
    else:
        named = f"'{options.model}' is no folder and, as a name,"
        network = downloaded(load, named=named, alternatives=ALTERNATIVES)
    tokenizer = network.tokenizer
    if not hasattr(tokenizer, "padding_side"):
        raise UsageError(f"sentence-transformers/{options.model}: a {type(network[0]).__name__}, not a transformer")
    tokenizer.padding_side = "right"
    fingerprint = f"sentence-transformers/{_digest(network)}"
    most = min(options.max_tokens, network.max_seq_length or options.max_tokens)
    prompt = network.prompts.get(network.default_prompt_name, "")

    def prepare(items: Sequence[TextItem]) -> Tensor:
        if not items:
            return torch.zeros(0, 2, most, dtype=torch.int32)
        texts = [prompt + item.text for item in items]
        tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=most, return_tensors="pt")
        return torch.stack([tokens["input_ids"], tokens["attention_mask"]], dim=1).int()

    def cut(text: str) -> bool:
        return bool(len(tokenizer(prompt + text, truncation=True, max_length=most + 1)["input_ids"]) > most)

    return Encoder(
        prepare=prepare,
        module=SentenceEmbedding(network),
        dim=network.get_embedding_dimension(),
        fingerprint=f"{fingerprint}/{most}",
        cut=cut,
    )


def _digest(network: Any) -> str:
    """Names the weights, the tokenizer, and how tokens become one vector: 16 hexadecimal digits."""
    steps = [(type(step).__name__, str(getattr(step, "pooling_mode", ""))) for step in network]
    said = (
        f"{tensors_digest(network.state_dict())}\n{steps}\n{network.default_prompt_name}\n{spelling(network.tokenizer)}"
    )
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]
