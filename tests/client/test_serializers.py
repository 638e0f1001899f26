"""The two serializers that everybody writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.client.serializers import from_json, from_msgpack, to_json, to_msgpack

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@dataclass
class Order:
    id: int
    items: list[str]


@given(plain)
def test_what_is_written_is_read(value: Any) -> None:
    assert from_json(to_json(value)) == value
    assert from_msgpack(to_msgpack(value)) == value


def test_a_dataclass_is_an_object() -> None:
    assert to_json(Order(1, ["café"])) == '{"id":1,"items":["café"]}'.encode()
    assert from_msgpack(to_msgpack(Order(1, ["a"]))) == {"id": 1, "items": ["a"]}


def test_msgpack_knows_times() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)

    assert from_msgpack(to_msgpack(at)) == at


@pytest.mark.parametrize("serialize", [to_json, to_msgpack])
def test_what_has_no_form_is_said(serialize: Any) -> None:
    with pytest.raises(TypeError, match="set has no form"):
        serialize({"a": {1}})
