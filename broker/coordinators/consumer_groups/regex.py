"""Subscriptions by regular expression: RE2's syntax and semantics, matched against whole topic names.

Java's consumer sends `SubscriptionPattern`, librdkafka a topic that begins with `^`; both are evaluated here, by RE2,
whose time is linear in the text: no backtracking, no lookaround, no back references. What is left for a hostile
expression is size, and that is bounded: of the text, and of the program, which is refused as invalid when it needs more than
MAX_PROGRAM_BYTES. So to compile one takes some 20 ms in the worst case, to match one name less than a millisecond; and all
names are matched in a thread, without the lock of the interpreter, never on the loop.

Kafka's classes: `TopicRegexResolver`, with RE2/J.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, cast

from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.values import dataclass

MAX_PROGRAM_BYTES = 256 * 1024
"""The compiled program and its automaton; people's expressions need a few kilobytes."""
MAX_REGEX_BYTES = 8 * 1024
"""The text: it is a part of a record's key, and compiling it holds the loop up."""
MAX_COSTLY_BYTES = 512
"""The same with counted repetitions or Unicode classes, each of which unfolds to a thousand times its text."""


class Pattern(Protocol):
    """A compiled expression."""

    def fullmatch(self, text: str) -> Any: ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """The topics that an expression matched, of the topics at `version`, at the time `at_ms`."""

    topics: frozenset[str]
    version: int
    at_ms: int


def check_regex(regex: str) -> None:
    """KafkaError(INVALID_REGULAR_EXPRESSION) when it cannot be used."""
    compiled(regex)


def resolve(regexes: Iterable[str], topics: Iterable[str], *, version: int, now_ms: int) -> dict[str, Resolved]:
    """What each expression matches; may take long and touches nothing shared: for a thread.

    Expressions were checked when they came; one that fails all the same (written by another release) matches nothing.
    """
    names = list(topics)
    return {regex: Resolved(_matches(regex, names), version, now_ms) for regex in regexes}


def _matches(regex: str, names: Iterable[str]) -> frozenset[str]:
    try:
        pattern = compiled(regex)
    except KafkaError:
        return frozenset()
    return frozenset(name for name in names if pattern.fullmatch(name))


def compiled(regex: str) -> Pattern:
    """The expression, to be matched against names. KafkaError(INVALID_REGULAR_EXPRESSION)."""
    limit = MAX_COSTLY_BYTES if "{" in regex or "\\p" in regex.lower() else MAX_REGEX_BYTES
    if len(regex.encode()) > limit:
        raise _invalid(regex, f"longer than {limit} bytes")
    import re2  # milliseconds that a broker without such groups need not spend

    options = re2.Options()
    options.max_mem = MAX_PROGRAM_BYTES
    options.never_capture = True
    options.log_errors = False
    try:
        return cast(Pattern, re2.compile(regex, options))
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise _invalid(regex, reason) from None


def _invalid(regex: str, reason: str) -> KafkaError:
    return KafkaError(
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        f"SubscribedTopicRegex `{regex:.200}` is not a valid regular expression: {reason}.",
    )
