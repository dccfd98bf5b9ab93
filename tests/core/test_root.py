"""The root of the core: what a type checker is told of its names is what they are when they are asked for."""

import ast
import inspect

import dckt_core


def test_the_names_for_a_type_checker_are_those_that_are_imported_when_asked_for() -> None:
    (block,) = [
        node
        for node in ast.parse(inspect.getsource(dckt_core)).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    told = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == {name: f"{home}.{name}" for name, home in dckt_core._LAZY.items()}


def test_every_name_is_there() -> None:
    for name in dckt_core.__all__:
        assert getattr(dckt_core, name) is not None
