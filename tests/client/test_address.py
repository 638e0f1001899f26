"""Addresses of brokers, as people write them."""

from __future__ import annotations

import pytest
from ottla.client.address import Address, parse_addresses


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("localhost:9092", (Address("localhost", 9092),)),
        ("localhost", (Address("localhost", 9092),)),
        ("a:1, b:2", (Address("a", 1), Address("b", 2))),
        ("[::1]:9093", (Address("::1", 9093),)),
        ("[::1]", (Address("::1", 9092),)),
    ],
)
def test_a_list_of_addresses_is_read(text: str, addresses: tuple[Address, ...]) -> None:
    assert parse_addresses(text) == addresses


@pytest.mark.parametrize("text", ["", " , ", "a:x", "a:0", "a:65536", "::1", "http://a:9092", "a b"])
def test_what_is_no_address_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        parse_addresses(text)


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert str(Address("::1", 9092)) == "[::1]:9092"
