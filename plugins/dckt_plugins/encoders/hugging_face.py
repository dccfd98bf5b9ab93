"""What encoders of the transformers library share: silence while they load, and names for tokenizers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dckt_plugins.extras import need


def spelling(tokenizer: Any) -> str:
    """Names a tokenizer by how it spells: 16 hexadecimal digits."""
    said = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else str(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@contextmanager
def no_bars(*, of: str, extra: str) -> Iterator[None]:
    """transformers draws a bar while it reads weights; the switch is the process's, so it is put back.

    of, extra: as of `need`.
    """
    logging: Any = need("transformers.utils.logging", of=of, extra=extra)
    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()
