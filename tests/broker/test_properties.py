"""Java's properties, as `java.util.Properties` reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.properties import read_properties


def pairs(text: str) -> list[tuple[str, str]]:
    return [(key, value) for key, value, _ in read_properties(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", [("a", "1")]),
        ("a = 1 ", [("a", "1 ")]),
        ("a: 1", [("a", "1")]),
        ("a 1", [("a", "1")]),
        ("  a=1\r\n\tb=2\r", [("a", "1"), ("b", "2")]),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=1", [("", "1")]),
        ("a==1", [("a", "=1")]),
        ("# a=1\n! b=2\n\n   # c", []),
        ("a=1 # not a comment", [("a", "1 # not a comment")]),
        ("a=1,\\\n   2,\\\n   3", [("a", "1,2,3")]),
        ("a=1\\\\\nb=2", [("a", "1\\"), ("b", "2")]),
        ("a=1\\", [("a", "1")]),
        (r"a\ b=c\td", [("a b", "c\td")]),
        (r"a\=b=\u00e9\x", [("a=b", "éx")]),
        (r"dir=C\:\\data", [("dir", r"C:\data")]),
        ("listeners=PLAINTEXT://:9092", [("listeners", "PLAINTEXT://:9092")]),
    ],
)
def test_a_text_is_read_as_java_reads_it(text: str, expected: list[tuple[str, str]]) -> None:
    assert pairs(text) == expected


def test_each_pair_knows_the_line_where_it_begins() -> None:
    text = "# first\na=1\\\n  2\n\nb=3"

    assert list(read_properties(text)) == [("a", "12", 2), ("b", "3", 5)]


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    pairs(text)
