"""What a line of text says of a record."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.cli.record_lines import LineRecord, empty_as_null, json_line, keyed_line, plain_line


@given(key=st.none() | st.binary(), value=st.none() | st.text())
def test_any_record_can_be_said_in_json(key: bytes | None, value: str | None) -> None:
    fields = {"value": value} if key is None else {"value": value, "key": {"base64": base64.b64encode(key).decode()}}

    assert json_line(json.dumps(fields).encode()) == LineRecord(None if value is None else value.encode(), key)


def test_the_first_separator_ends_the_key() -> None:
    assert keyed_line(b"::")(b"k::v::w") == LineRecord(b"v::w", b"k")
    assert empty_as_null(keyed_line(b":"))(b"k:") == LineRecord(None, b"k")
    assert empty_as_null(plain_line)(b"x") == LineRecord(b"x")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"key": {"base64": 1}}', "base64 must be text"),
        (b'{"value": {"base64": "not base64"}}', "base64: "),
        (b'{"headers": ["a"]}', "headers must be an object, or a list"),
        (b'{"partition": "1"}', "partition must be a number from 0 on, not '1'"),
        (b'{"timestamp": true}', "timestamp must be a number"),
    ],
)
def test_what_a_record_cannot_have_is_said(line: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        json_line(line)


def test_a_record_without_a_timestamp_is_sent_with_the_time_of_now() -> None:
    assert json_line(b'{"value": "v", "timestamp": -1}') == LineRecord(b"v")
