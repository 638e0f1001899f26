"""Waiting for another process to come to a state, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.02


def eventually(look: Callable[[], T], expected: T, *, timeout_s: float = 60) -> None:
    """Look until it is as expected.  Apache Kafka's brokers hear of a change some milliseconds after it is made."""
    deadline = time.monotonic() + timeout_s
    while (seen := look()) != expected:
        assert time.monotonic() < deadline, f"still {seen!r}, not {expected!r}"
        time.sleep(POLL_S)  # another process's state has no event to wait for


def until(condition: Callable[[], object], what: str, *, timeout_s: float = 60) -> None:
    """Look until the condition holds; `what` says in the failure what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
        time.sleep(POLL_S)  # another process's state has no event to wait for
