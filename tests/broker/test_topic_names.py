"""What a topic may be called."""

import pytest
from ottla.broker.topic_names import can_collide, is_internal, is_reserved, unified, why_invalid


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 249, "...", "__consumer_offsets"])
def test_names_of_letters_digits_dots_underscores_and_dashes_are_good(name: str) -> None:
    assert why_invalid(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "Topic name is invalid: the empty string is not allowed"),
        (".", "Topic name is invalid: '.' is not allowed"),
        ("..", "Topic name is invalid: '..' is not allowed"),
        (
            "x" * 250,
            f"Topic name is invalid: the length of '{'x' * 250}' is longer than the max allowed length 249",
        ),
        (
            "a b",
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            "é",
            "Topic name is invalid: 'é' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            "a\n",
            "Topic name is invalid: 'a\n' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
    ],
)
def test_other_names_are_refused_in_kafkas_words(name: str, why: str) -> None:
    assert why_invalid(name) == why


def test_names_that_differ_in_dots_and_underscores_only_collide() -> None:
    assert unified("a.b") == unified("a_b")
    assert can_collide("a.b")
    assert not can_collide("ab")


def test_the_brokers_own_topics_are_internal_and_its_logs_are_reserved() -> None:
    assert is_internal("__consumer_offsets")
    assert not is_internal("__cluster_metadata")
    assert is_reserved("__cluster_metadata")
    assert is_reserved("__ottla_catalog")
    assert not is_reserved("orders")
