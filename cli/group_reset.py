"""What `ottla groups reset-offsets` does: works out where offsets shall go, shows it, and with --execute commits it.

Nothing is changed unless asked for, and never in a group that has members: they would go on from where they are, and
commit over it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..client.admin import (
    Admin,
    CommittedOffset,
    GroupDescription,
    ListedOffset,
    OffsetSpec,
    TopicPartition,
)
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass
from .asking import ask, fail_if_any_refused
from .errors import WRONGLY_ASKED, CommandError
from .offset_reset import Extent, Plan, Target, Wish, new_offset, plan_lines, read_plan
from .offset_scope import TopicScope, partitions_of
from .output import show_json, show_rows

_INACTIVE = ("Empty", "Dead")
_NO_OFFSET = -1


@dataclass(frozen=True, slots=True)
class Reset:
    """What is asked for. Without `scopes` it is about all that a group has committed; a `file` says all by itself."""

    groups: tuple[str, ...]
    scopes: tuple[TopicScope, ...]
    wish: Wish | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    group: str
    partition: TopicPartition
    before: int | None
    after: int


def reset_offsets(bootstrap_server: str, asked: Reset, *, execute: bool, export: bool, as_json: bool) -> None:
    async def question(admin: Admin) -> tuple[list[_Change], dict[str, KafkaError]]:
        changes = await _planned(admin, asked)
        return changes, await _commit(admin, changes) if execute else {}

    changes, refused = ask(bootstrap_server, question)
    done = [each for each in changes if _name(each) not in refused]
    if export:
        for line in plan_lines(_plan_of(done)):
            print(line)
    elif as_json:
        show_json([_change_json(each) for each in done])
    else:
        _show(done, executed=execute)
    fail_if_any_refused(refused, "reset")


def _name(change: _Change) -> str:
    return f"{change.group} in {change.partition}"


# -- planning


async def _planned(admin: Admin, asked: Reset) -> list[_Change]:
    groups = asked.groups or tuple(each.id for each in await admin.list_groups())
    await _check_inactive(admin, groups)
    if asked.file is not None:
        plan = read_plan(asked.file.read_text(encoding="utf-8").splitlines(), groups, name=str(asked.file))
        await _check_exist(admin, plan)
        committed = await _committed(admin, {group: list(offsets) for group, offsets in plan.items()})
        return [
            _Change(group, partition, committed[group].get(partition), offset)
            for group, offsets in plan.items()
            for partition, offset in offsets.items()
        ]
    assert asked.wish is not None, "the command line gives a wish or a file"
    scope = await partitions_of(admin, asked.scopes) if asked.scopes else None
    committed = await _committed(admin, dict.fromkeys(groups, scope))
    partitions = {each for offsets in committed.values() for each in offsets} if scope is None else set(scope)
    extents = await _extents(admin, sorted(partitions), asked.wish)
    return [
        change
        for group in groups
        for change in _changes(group, sorted(committed[group]) if scope is None else scope, committed[group], extents,
                               asked.wish)
    ]  # fmt: skip


async def _check_inactive(admin: Admin, groups: Sequence[str]) -> None:
    """A group that is not there is as good as an empty one: its first offsets may come from here."""
    described = await admin.describe_groups(groups)
    refused = {
        name: each
        for name, each in described.items()
        if isinstance(each, KafkaError) and each.code is not ErrorCode.GROUP_ID_NOT_FOUND
    }
    fail_if_any_refused(refused, "describe")
    for name, each in described.items():
        if isinstance(each, GroupDescription) and each.state not in _INACTIVE:
            raise CommandError(
                f"the group {name} is {each.state}, with members that would commit over it: stop them,"
                " then reset its offsets"
            )


async def _check_exist(admin: Admin, plan: Plan) -> None:
    named = {each for offsets in plan.values() for each in offsets}
    await partitions_of(admin, [TopicScope(each.topic, (each.partition,)) for each in sorted(named)])


async def _committed(
    admin: Admin, wanted: Mapping[str, Sequence[TopicPartition] | None]
) -> dict[str, dict[TopicPartition, int]]:
    found = await admin.list_group_offsets(wanted)
    fail_if_any_refused({name: each for name, each in found.items() if isinstance(each, KafkaError)}, "read offsets of")
    return {
        name: {partition: offset.offset for partition, offset in each.items() if isinstance(offset, CommittedOffset)}
        for name, each in found.items()
        if not isinstance(each, KafkaError)
    }


async def _extents(admin: Admin, partitions: Sequence[TopicPartition], wish: Wish) -> dict[TopicPartition, Extent]:
    starts = await _offsets(admin, partitions, OffsetSpec.EARLIEST)
    ends = await _offsets(admin, partitions, OffsetSpec.LATEST)
    times = await _offsets(admin, partitions, wish.number) if wish.target is Target.TIME else {}
    return {
        each: Extent(
            start=starts[each],
            end=ends[each],
            committed=None,
            at_time=None if times.get(each, _NO_OFFSET) == _NO_OFFSET else times[each],
        )
        for each in partitions
    }


async def _offsets(
    admin: Admin, partitions: Sequence[TopicPartition], at: OffsetSpec | int
) -> dict[TopicPartition, int]:
    listed = await admin.list_offsets(dict.fromkeys(partitions, at))
    refused = {str(each): found for each, found in listed.items() if isinstance(found, KafkaError)}
    fail_if_any_refused(refused, "read the offsets of")
    return {each: found.offset for each, found in listed.items() if isinstance(found, ListedOffset)}


def _changes(
    group: str,
    partitions: Sequence[TopicPartition],
    committed: Mapping[TopicPartition, int],
    extents: Mapping[TopicPartition, Extent],
    wish: Wish,
) -> list[_Change]:
    changes = []
    for each in partitions:
        before, extent = committed.get(each), extents[each]
        after = new_offset(wish, Extent(extent.start, extent.end, before, extent.at_time))
        if after is None:
            raise CommandError(
                f"the group {group} has committed nothing in {each}: there is nothing to shift; "
                "leave it out, or give it a first offset with --to-earliest, --to-latest or --to-offset",
                exit_code=WRONGLY_ASKED,
            )
        changes.append(_Change(group, each, before, after))
    return changes


# -- doing and showing


async def _commit(admin: Admin, changes: Sequence[_Change]) -> dict[str, KafkaError]:
    refused: dict[str, KafkaError] = {}
    for group, offsets in _plan_of(changes).items():
        outcomes = await admin.alter_group_offsets(group, offsets)
        refused |= {f"{group} in {each}": error for each, error in outcomes.items() if error is not None}
    return refused


def _plan_of(changes: Sequence[_Change]) -> dict[str, dict[TopicPartition, int]]:
    plan: dict[str, dict[TopicPartition, int]] = {}
    for each in changes:
        plan.setdefault(each.group, {})[each.partition] = each.after
    return plan


def _show(changes: Sequence[_Change], *, executed: bool) -> None:
    import sys

    headings = ("Group", "Topic", "Partition", "Before", "After")
    rows = [(each.group, each.partition.topic, each.partition.partition, each.before, each.after) for each in changes]
    if rows:
        show_rows(headings, rows, numbers=("Partition", "Before", "After"))
    if not changes:
        print("there is nothing to reset: no offset is committed there", file=sys.stderr)
    elif not executed:
        print("nothing was changed: this is what --execute would do", file=sys.stderr)


def _change_json(change: _Change) -> dict[str, object]:
    return {
        "group": change.group,
        "topic": change.partition.topic,
        "partition": change.partition.partition,
        "before": change.before,
        "after": change.after,
    }
