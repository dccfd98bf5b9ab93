"""Whether bytes were made here, by this user: they carry a tag that only this user's key makes.

For what a library in machine code reads back without looking closely, and what can be made anew where it came from
elsewhere. The key is 32 random bytes in the cache folder; who loses it makes such things anew, once. A digest beside
the bytes would prove nothing: whoever changes the bytes can change it as well.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dckt_core.base.progress import logger
from dckt_core.data.cache import default_cache_dir

KEY, LENGTH = "key", 32
TRUST = "DCKT_TRUST_INDEXES"
"""Set to 1, all is taken for made here: for indexes that colleagues made, whom one trusts."""


def own_tag(what: str, content: memoryview | bytes) -> str:
    """A tag for bytes made here: 64 hexadecimal digits; empty where there is no key and none can be kept.

    Args:
        what: they are, and of what: a part of the tag.
    """
    key = _key()
    return "" if key is None else _tag(key, what, content)


def made_here(tag: object, what: str, content: memoryview | bytes, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether bytes carry the tag that `own_tag` gave them here, or are trusted all the same."""
    if environ.get(TRUST, "").strip() == "1":
        return True
    key = _key()
    return key is not None and isinstance(tag, str) and hmac.compare_digest(_tag(key, what, content), tag)


def _tag(key: bytes, what: str, content: memoryview | bytes) -> str:
    made = hmac.new(key, f"{len(what)} {what} ".encode(), hashlib.sha256)
    made.update(content)
    return made.hexdigest()


def _key() -> bytes | None:
    """This user's key, made where there is none yet; None where it cannot be kept."""
    file = default_cache_dir() / KEY
    with suppress(OSError):
        key = file.read_bytes()
        if len(key) == LENGTH:
            return key
        logger.warning("%s: no key; another one is made", file)
    try:
        return _made(file)
    except OSError as error:
        logger.debug("%s: cannot be kept: %s", file, error.strerror or error)
        return None


def _made(file: Path) -> bytes:
    """A new key, or that of another process which was faster."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp")  # nobody else reads it
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(LENGTH))
        if file.exists() and file.stat().st_size != LENGTH:
            file.unlink()
        with suppress(FileExistsError):
            os.link(name, file)
    finally:
        Path(name).unlink(missing_ok=True)
    return file.read_bytes()
