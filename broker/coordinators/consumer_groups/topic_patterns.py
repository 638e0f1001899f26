"""When a group's expressions are resolved, and what the result means to it.

    a member brings a new expression  --+
    topics were created               --+--> resolve (a thread)  -->  resolved: records, and a new group epoch
    the refresh interval is over      --+                             if the group now wants other topics

All expressions of a group are resolved together, one run at a time, and no more often than every MIN_REFRESH_MS: a topic that
is created is noticed with the first heartbeat after that. Until an expression has been resolved its members are in the
group without partitions. An expression goes with the last member that has it.

Kafka's methods: `maybeUpdateRegularExpressions`, `handleRegularExpressionsResult`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from .decision import Decision
from .member import Subscription
from .records import GroupEpoch, GroupEpochRecord, RegexRecord
from .regex import Resolved, check_regex

MIN_REFRESH_MS = 10_000
NO_TOPICS: frozenset[str] = frozenset()


class RegexChange(Enum):
    """What a member's request does to its expression."""

    NONE = 0
    UNRESOLVED = 1  # another one, whose topics are to come
    RESOLVED = 2  # another one, or none any more: the group wants other topics at once


def change_regex(decision: Decision, before: Subscription, after: Subscription) -> RegexChange:
    """Records and the wish to resolve go to the decision. KafkaError(INVALID_REGULAR_EXPRESSION)."""
    change, is_new = RegexChange.NONE, False
    if before.regex != after.regex:
        change, is_new = _changed(decision, before.regex, after.regex)
    if (is_new or decision.group.subscriptions.regexes) and _may_resolve(decision):
        regexes = decision.group.subscriptions.regexes.copy()
        if before.regex:
            regexes[before.regex] -= 1
        if after.regex:
            regexes[after.regex] += 1
        wanted = frozenset(+regexes)
        if wanted and (is_new or _must_resolve(decision, wanted)):
            decision.resolve = wanted
    return change


def _changed(decision: Decision, before: str | None, after: str | None) -> tuple[RegexChange, bool]:
    """How the member's expression changes, and whether the group has not had the new one."""
    group = decision.group
    members = group.subscriptions.regexes
    if before and members[before] == 1:
        decision.records.append(RegexRecord(group.group_id, before, None))
    if not after:
        return (RegexChange.RESOLVED if before else RegexChange.UNRESOLVED), False
    if not members[after]:
        check_regex(after)
        return RegexChange.UNRESOLVED, True
    return (RegexChange.RESOLVED if after in group.resolved else RegexChange.UNRESOLVED), False


def _may_resolve(decision: Decision) -> bool:
    last = _last(decision)
    return not decision.group.is_resolving and (last is None or decision.now_ms > last.at_ms + MIN_REFRESH_MS)


def _must_resolve(decision: Decision, wanted: frozenset[str]) -> bool:
    last = _last(decision)
    return (
        last is None
        or len(wanted) != len(decision.group.resolved)
        or last.version < decision.topics.created_version
        or decision.now_ms > last.at_ms + decision.settings.regex_refresh_ms
    )


def _last(decision: Decision) -> Resolved | None:
    """All of a group are resolved together, so any tells when that was."""
    return next(iter(decision.group.resolved.values()), None)


def resolved(decision: Decision, found: Mapping[str, Resolved]) -> None:
    """The event: what the expressions match. Those that nobody has any more are passed over."""
    group = decision.group
    subscriptions = group.subscriptions.copy()
    has_changed = False
    for regex, result in found.items():
        if not subscriptions.regexes[regex]:
            continue
        before = group.resolved.get(regex)
        topics_before = NO_TOPICS if before is None else before.topics
        if topics_before != result.topics:
            has_changed = True
            subscriptions.replace_matches(topics_before, result.topics)
        decision.records.append(RegexRecord(group.group_id, regex, result))
    metadata_hash = decision.topics.hash_of(subscriptions.topics)
    if has_changed or metadata_hash != group.metadata_hash:
        decision.records.append(GroupEpochRecord(group.group_id, GroupEpoch(group.epoch + 1, metadata_hash)))
        decision.seen_epoch = group.epoch + 1
