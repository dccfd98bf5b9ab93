from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dckt_core.io.complaint import Complaint, complaint, shown


@dataclass(frozen=True)
class Inner:
    names: tuple[str, ...] = ()


class Values(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=1, lt=10)] = 1
    share: Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False)] = 0.1
    either: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    flag: bool = True
    kind: Literal["a", "b"] = "a"
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    table: dict[str, float] = {}
    inner: Inner = Inner()
    name: Annotated[str, Field(min_length=2, max_length=4)] = "name"

    @model_validator(mode="after")
    def _agrees(self) -> "Values":
        if self.count == 9 and not self.flag:
            raise ValueError("count = 9 and flag = false exclude each other")
        return self


def said(values: object) -> Complaint:
    with pytest.raises(ValidationError) as caught:
        Values.model_validate(values)
    found = complaint(caught.value)
    for jargon in ("nput", "alid", "literal", "constrained", "_"):
        assert jargon not in found.text + found.key
    return found


@pytest.mark.parametrize(
    ("values", "key", "text", "value"),
    [
        ({"count": 0}, "count", "takes a number from 1", "0"),
        ({"count": 10}, "count", "takes a number below 10", "10"),
        ({"count": 1.5}, "count", "takes a whole number", "1.5"),
        ({"count": "x"}, "count", "takes a whole number", "'x'"),
        ({"share": 0}, "share", "takes a number above 0", "0"),
        ({"share": 1}, "share", "takes a number up to 0.5", "1"),
        ({"share": float("nan")}, "share", "takes a finite number", "nan"),
        ({"either": 0}, "either", "takes a number from 1 or 'all'", "0"),
        ({"either": "none"}, "either", "takes a whole number or 'all'", "'none'"),
        ({"flag": 7}, "flag", "takes true or false", "7"),
        ({"kind": "c"}, "kind", "takes 'a' or 'b'", "'c'"),
        ({"seeds": []}, "seeds", "takes a length from 1", "[]"),
        ({"seeds": 3}, "seeds", "takes a list", "3"),
        ({"seeds": [0, "x"]}, "seeds.1", "takes a whole number", "'x'"),
        ({"table": True}, "table", "takes a table", "true"),
        ({"table": {"x": "y"}}, "table.x", "takes a number", "'y'"),
        ({"inner": 3}, "inner", "takes a table", "3"),
        ({"inner": {"names": [3]}}, "inner.names.0", "takes text", "3"),
        ({"name": "x"}, "name", "takes a length from 2", "'x'"),
        ({"name": "x" * 100}, "name", "takes a length up to 4", f"'{'x' * 59}..."),
        ({"count": 9, "flag": False}, "", "count = 9 and flag = false exclude each other", None),
        (3, "", "takes a table", "3"),
    ],
)
def test_it_says_in_plain_words_what_a_value_takes(values: Any, key: str, text: str, value: str | None) -> None:
    found = said(values)
    assert (found.key, found.kind, found.text) == (key, "value", text)
    assert value is None or found.value == value


def test_what_is_unknown_and_what_is_missing() -> None:
    assert said({"cuont": 3}) == Complaint("cuont", "unknown")

    class Needs(BaseModel):
        name: str

    with pytest.raises(ValidationError) as caught:
        Needs.model_validate({})
    assert complaint(caught.value) == Complaint("name", "missing")


def test_a_value_cannot_steer_a_terminal() -> None:
    assert shown("a\x1b[31m\nb") == "'a\\x1b[31m\\nb'"
