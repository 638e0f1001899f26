"""What a topic may be called, and which names mean something.

A name is 1 to 249 of the characters a-z A-Z 0-9 . _ - and not `.` or `..`, so that it can be a folder's name
with a partition number and a mark behind it. Metrics write `.` as `_`, therefore names that differ only in
these collide. Kafka's class: `org.apache.kafka.common.internals.Topic`.
"""

from __future__ import annotations

import re

MAX_LENGTH = 249

CONSUMER_OFFSETS = "__consumer_offsets"
TRANSACTION_STATE = "__transaction_state"
INTERNAL_TOPICS = frozenset({CONSUMER_OFFSETS, TRANSACTION_STATE, "__share_group_state"})
"""Topics of which Kafka's clients know that they are the broker's own."""

CLUSTER_METADATA = "__cluster_metadata"
JOURNAL_PREFIX = "__ottla_"
"""Folders of this prefix hold our journals; a topic of such a name would write into one."""

_LEGAL = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)


def why_invalid(name: str) -> str | None:
    """Kafka's sentence about a name that no topic can have; None for a good one."""
    if name == "":
        return "Topic name is invalid: the empty string is not allowed"
    if name in (".", ".."):
        return f"Topic name is invalid: '{name}' is not allowed"
    if len(name) > MAX_LENGTH:
        return f"Topic name is invalid: the length of '{name}' is longer than the max allowed length {MAX_LENGTH}"
    if not _LEGAL.fullmatch(name):
        return (
            f"Topic name is invalid: '{name}' contains one or more characters other than "
            "ASCII alphanumerics, '.', '_' and '-'"
        )
    return None


def is_internal(name: str) -> bool:
    return name in INTERNAL_TOPICS


def is_reserved(name: str) -> bool:
    """Whether the name belongs to a log that is not a topic: Kafka's metadata, our journals."""
    return name == CLUSTER_METADATA or name.startswith(JOURNAL_PREFIX)


def unified(name: str) -> str:
    """The form in which colliding names are equal."""
    return name.replace(".", "_")


def can_collide(name: str) -> bool:
    return "." in name or "_" in name
