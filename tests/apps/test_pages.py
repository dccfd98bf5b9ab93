import pytest
from jinja2 import UndefinedError

from dckt_apps.answers.page import render
from dckt_apps.pages import filled, templates, theme

NASTY = "<script>alert(1)</script> \x1b[2J \u202egnp.exe"
SHOWN = "&lt;script&gt;alert(1)&lt;/script&gt; \\x1b[2J \\u202egnp.exe"


def test_no_text_does_anything_in_a_page_of_answers() -> None:
    row = {"rank": 1, "cosine": 0.5, "id": NASTY, "label": NASTY, "text": NASTY, "metadata": {"by": NASTY}}
    page = render(NASTY, NASTY, [NASTY], [row])
    assert page.count(SHOWN) >= 6
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "<script" not in page
    assert theme().strip().splitlines()[0] in page


def test_a_value_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        filled(templates("answers"), "answers.html", title="x")
