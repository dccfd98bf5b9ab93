"""`classes.toml`: what classes are called, and every slip in it named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dckt_core.contract.pairs import Pair
from dckt_core.data.classes import Names, read_names

DOGS = [Pair(label, Path("x.png"), "t", label, "train") for label in ("dog", "cat")]
UNLABELLED = Pair("who knows", Path("x.png"), "t", None, "train")


def names(folder: Path, content: str, *more: Pair) -> tuple[Names, list[str]]:
    (folder / "classes.toml").write_text(content, encoding="utf-8")
    return read_names(folder, [*DOGS, *more])


def test_a_name_or_several(tmp_path: Path) -> None:
    content = '# what they are called\ndog = "a dog"\ncat = ["cat", "猫"]\n"sea.cow" = "a manatee"\n'
    found = names(tmp_path, content, UNLABELLED)
    assert found == ({"dog": ("a dog",), "cat": ("cat", "猫"), "sea.cow": ("a manatee",)}, [])
    assert names(tmp_path, "") == ({}, [])


def test_no_file_no_names(tmp_path: Path) -> None:
    assert read_names(tmp_path, DOGS) == ({}, [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("dog = ", "not TOML: Invalid value (at "),
        ('dog = "a"\ndog = "b"', "not TOML: Cannot overwrite a value (at "),
        ("dog = " + "[" * 10_000, "not TOML that anybody wrote: nested too deeply"),
        ("dog = 7", "class 'dog': not a name or a list of names; a label with a dot needs quotes"),
        ('dog.x = "a"', "class 'dog': not a name or a list of names; a label with a dot needs quotes"),
        ('dog = ["a", 7]', "class 'dog': not a name or a list of names; a label with a dot needs quotes"),
        ("dog = []", "class 'dog': has no name"),
        ('dog = ""', "class 'dog': name is empty"),
        ('dog = " a dog"', "class 'dog': name ' a dog' has blanks at its ends"),
        ('dog = "a\\ndog"', "class 'dog': name 'a\\ndog' holds a control character"),
        ('dog = ["a", "b", "a"]', "class 'dog': name 'a' is given twice"),
        ('dgo = "a dog"', "class 'dgo': no training item is labelled so: did you mean 'dog'? (known: cat, dog)"),
        ('"dog " = "a dog"', "class 'dog ': label 'dog ' has blanks at its ends"),
        ('dog = "animal"\ncat = "Animal"', "class 'dog': name 'animal' is that of class 'cat' too"),
        ('dog = ["hound", "cat"]', "class 'dog': name 'cat' is that of class 'cat' too"),
    ],
)
def test_a_slip_is_named_in_one_line(tmp_path: Path, content: str, reason: str) -> None:
    [found] = names(tmp_path, content)[1]
    assert found.startswith(reason)


def test_all_slips_are_named_and_the_good_names_kept(tmp_path: Path) -> None:
    found, problems = names(tmp_path, 'dgo = "x"\ncat = ""\ndog = "a dog"\n')
    assert found == {"dog": ("a dog",)}
    assert [problem.split(":")[0] for problem in problems] == ["class 'dgo'", "class 'cat'"]


def test_where_labels_are_missing_a_class_may_be_one_that_nobody_pointed_out(tmp_path: Path) -> None:
    assert names(tmp_path, 'cow = "a cow"', UNLABELLED) == ({"cow": ("a cow",)}, [])
    assert read_names(tmp_path, [UNLABELLED]) == ({"cow": ("a cow",)}, [])
    assert read_names(tmp_path, []) == ({"cow": ("a cow",)}, [])


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "classes.toml").write_bytes(b"dog = '\xff'")
    assert read_names(tmp_path, DOGS) == ({}, ["not UTF-8: byte 8 is 0xff"])
    (tmp_path / "classes.toml").unlink()
    (tmp_path / "classes.toml").mkdir()
    assert read_names(tmp_path, DOGS) == ({}, ["list 'classes.toml': no such file"])


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_a_link_may_not_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_text('dog = "a dog"')
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "classes.toml").symlink_to(tmp_path / "secret.toml")
    assert read_names(tmp_path / "set", DOGS)[1] == ["list 'classes.toml' leaves the folder through a symbolic link"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=60) | st.text(alphabet='dogcat =[]"\n.,#', max_size=40).map(str.encode))
def test_whatever_the_bytes_there_are_names_or_reasons(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "classes.toml").write_bytes(content)
    found, problems = read_names(tmp_path, DOGS)
    assert all("\n" not in problem for problem in problems)
    assert found.keys() <= {"dog", "cat"}
    assert all(name.strip() == name != "" for of_class in found.values() for name in of_class)
