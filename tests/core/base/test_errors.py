"""Texts as they are shown."""

from __future__ import annotations

import os

from dckt_core.base.errors import one_line, printable, printable_lines


def test_nothing_shown_steers_a_terminal() -> None:
    steering = "".join(map(chr, [*range(32), *range(127, 160), 0x2028, 0x2029, 0x202E, 0x2066]))
    assert printable(f"a{steering}b").isprintable()
    assert printable("a\nb\t\x1b[2J\x9b\u202e") == r"a\nb\t\x1b[2J\x9b\u202e"
    assert one_line("a\n  b\t\x1b[2J ") == r"a b \x1b[2J", "a library's lines are joined"
    assert printable(os.fsdecode(b"\xff.png")) == r"\udcff.png", "half a character cannot be written"
    assert printable_lines(f"a\n{steering}\nb").count("\n") == 3


def test_blanks_of_other_widths_are_blanks() -> None:
    assert printable("一\u3000二\xa0三") == "一 二 三"


def test_words_of_any_script_stay_whole() -> None:
    for text in ("犬 naïve", "می\u200cخواهم", "👩\u200d🔬", "  two  blanks "):
        assert printable(text) == text
