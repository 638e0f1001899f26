"""Subscriptions and assignments: Java's bytes, whole in every version, and never a crash on what a member made up."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.consumer_protocol import (
    Assignment,
    Subscription,
    by_topic,
    decode_assignment,
    decode_subscription,
    decode_topics,
    encode_assignment,
    encode_subscription,
    version_of,
)
from ottla.protocol.errors import MalformedMessage

topics = st.text(st.characters(codec="utf-8"), max_size=8)
user_data = st.none() | st.binary(max_size=20)
partitions = st.dictionaries(
    topics, st.lists(st.integers(0, 2**31 - 1), unique=True, max_size=4).map(tuple), max_size=3
)
subscriptions = st.builds(
    Subscription,
    st.lists(topics, unique=True, max_size=4).map(lambda names: tuple(sorted(names))),
    user_data,
    partitions.map(lambda owned: {topic: tuple(sorted(indexes)) for topic, indexes in sorted(owned.items())}),
    st.integers(-1, 2**31 - 1),
    st.none() | topics,
)

# Written by Java 4.3.1's ConsumerProtocol for topics [b, a], user data 01 02, owned a-1, a-0, generation 7, rack r.
GOLDEN = "0003 00000002 0001 61 0001 62 00000002 0102 00000001 0001 61 00000002 00000000 00000001 00000007 0001 72"
GOLDEN_ASSIGNMENT = "0003 00000001 0001 61 00000002 00000001 00000000 ffffffff"


def test_a_subscription_has_the_bytes_of_javas() -> None:
    subscription = Subscription(("b", "a"), b"\1\2", {"a": (1, 0)}, 7, "r")

    assert encode_subscription(subscription) == bytes.fromhex(GOLDEN)


def test_an_assignment_has_the_bytes_of_javas_and_keeps_the_order() -> None:
    assert encode_assignment(Assignment({"a": (1, 0)})) == bytes.fromhex(GOLDEN_ASSIGNMENT)


@given(subscriptions, st.integers(0, 3))
def test_a_subscription_comes_back_but_for_what_its_version_does_not_have(sent: Subscription, version: int) -> None:
    expected = Subscription(
        sent.topics,
        sent.user_data,
        sent.owned if version >= 1 else {},
        sent.generation if version >= 2 else -1,
        sent.rack if version >= 3 else None,
    )

    assert decode_subscription(encode_subscription(sent, version)) == expected


@given(partitions, user_data, st.integers(0, 3))
def test_an_assignment_comes_back(given_: dict[str, tuple[int, ...]], data: bytes | None, version: int) -> None:
    assert decode_assignment(encode_assignment(Assignment(given_, data), version)) == Assignment(given_, data)


def test_a_newer_version_is_read_as_the_newest_known_and_the_rest_left() -> None:
    newer = bytes.fromhex("0009" + GOLDEN[4:]) + b"what comes later"

    assert decode_subscription(newer) == decode_subscription(bytes.fromhex(GOLDEN))
    assert version_of(newer) == 3


@pytest.mark.parametrize("version", range(4))
def test_the_version_is_told_without_reading_the_rest(version: int) -> None:
    assert version_of(encode_subscription(Subscription(()), version)) == version


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xff"])
def test_what_has_no_version_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        version_of(data)


def test_no_bytes_are_an_empty_assignment() -> None:
    assert decode_assignment(b"") == Assignment({})


def test_topics_are_told_whatever_follows_them() -> None:
    begin = bytes.fromhex(GOLDEN)[: 2 + 4 + 3 + 3 + 4 + 2]

    assert decode_topics(begin) == decode_topics(begin + b"?") == ("a", "b")
    for cut in range(len(begin)):
        with pytest.raises(MalformedMessage):
            decode_topics(begin[:cut])


@given(st.binary(max_size=60) | subscriptions.map(encode_subscription).map(lambda data: data[: len(data) * 2 // 3]))
def test_what_a_member_made_up_is_read_or_refused(data: bytes) -> None:
    for decode in (decode_subscription, decode_topics, decode_assignment, version_of):
        with contextlib.suppress(MalformedMessage):
            decode(data)


@pytest.mark.parametrize("cut", range(2, len(bytes.fromhex(GOLDEN)) - 1))
def test_a_subscription_that_is_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(MalformedMessage):
        decode_subscription(bytes.fromhex(GOLDEN)[:cut])


def test_partitions_are_gathered_by_topic() -> None:
    assert by_topic([("b", 1), ("a", 0), ("b", 0)]) == {"b": (1, 0), "a": (0,)}
