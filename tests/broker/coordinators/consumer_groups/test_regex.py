"""Expressions: RE2's syntax, whole names, and nothing that takes long."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ottla.broker.coordinators.consumer_groups.regex import check_regex, resolve
from ottla.protocol.errors import ErrorCode, KafkaError


def matches(regex: str, *topics: str) -> frozenset[str]:
    return resolve([regex], topics, version=3, now_ms=5)[regex].topics


def test_an_expression_matches_whole_names_only() -> None:
    assert matches("a.*", "apples", "bananas", "a") == {"apples", "a"}
    assert matches("pp", "apples", "pp") == {"pp"}
    assert matches("(^.*pp.*)", "apples", "bread") == {"apples"}


def test_a_result_says_of_when_and_of_which_topics_it_is() -> None:
    found = resolve(["a", "b"], ["a"], version=3, now_ms=5)

    assert {regex: (each.topics, each.version, each.at_ms) for regex, each in found.items()} == {
        "a": ({"a"}, 3, 5),
        "b": (frozenset(), 3, 5),
    }


@pytest.mark.parametrize("regex", ["[", "(?=a)b", r"\1", "a**", "(a{1000}){1000}"])
def test_what_re2_cannot_read_is_refused(regex: str) -> None:
    with pytest.raises(KafkaError) as refusal:
        check_regex(regex)

    assert refusal.value.code is ErrorCode.INVALID_REGULAR_EXPRESSION
    assert f"SubscribedTopicRegex `{regex}` is not a valid regular expression" in str(refusal.value)


def test_a_program_too_large_is_refused_and_matches_nothing() -> None:
    regex = "|".join(rf"\p{{L}}{{{count}}}" for count in range(1, 200))
    with pytest.raises(KafkaError, match="not a valid regular expression"):
        check_regex(regex)

    assert matches(regex, "a") == frozenset()


def test_a_text_too_long_is_refused_without_reading_it() -> None:
    with pytest.raises(KafkaError, match="longer than 8192 bytes"):
        check_regex("a" * 8_193)
    check_regex("a" * 8_192)


@pytest.mark.parametrize("costly", ["[a-z]{1,9}", r"\p{L}", r"\PN"])
def test_what_unfolds_to_much_more_than_its_text_may_be_shorter_still(costly: str) -> None:
    with pytest.raises(KafkaError, match="longer than 512 bytes"):
        check_regex(costly + "a" * 512)


@pytest.mark.parametrize("regex", ["(a+)+$", "(x+x+)+y", "(.*)*(.*)*(.*)*z", "(?:a?){200}a{200}"])
def test_expressions_that_ruin_backtracking_matchers_are_as_fast_as_any(regex: str) -> None:
    """A matcher that tries alternatives would not end within the life of the machine."""
    assert matches(regex, *(f"{'a' * 240}{index}" for index in range(200))) == frozenset()


def test_a_broker_without_expressions_does_not_load_the_library() -> None:
    code = "import sys, ottla.broker.app; assert not {'re2', 'xxhash'} & sys.modules.keys()"

    subprocess.run([sys.executable, "-c", code], check=True)
