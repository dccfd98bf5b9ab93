"""Texts as they are shown."""

from __future__ import annotations

import os

from dckt_core.base.errors import one_line, printable


def test_nothing_shown_steers_a_terminal() -> None:
    steering = "".join(map(chr, [*range(32), *range(127, 160), 0x2028, 0x2029, 0x202E, 0x2066]))
    assert printable(f"a{steering}b").isprintable()
    assert one_line(f"a{steering}b") == "a b"
    assert printable(os.fsdecode(b"\xff.png")) == " .png", "half a character cannot be written"


def test_words_of_any_script_stay_whole() -> None:
    for text in ("犬 naïve", "می\u200cخواهم", "👩\u200d🔬", "  two  blanks "):
        assert printable(text) == text
