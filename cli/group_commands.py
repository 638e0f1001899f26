"""What `ottla groups list|describe|delete|delete-offsets` does: asks the cluster, shows the answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ..client.admin import Admin, GroupDescription, GroupMember, TopicPartition
from ..protocol.errors import KafkaError
from .asking import ask, fail_if_any_refused
from .errors import WRONGLY_ASKED, CommandError
from .group_view import GroupView, PartitionProgress, look_at, partitions_text
from .offset_scope import TopicScope, partitions_of
from .output import show_json, show_rows

# -- list


def list_(bootstrap_server: str, *, states: Sequence[str], types: Sequence[str], as_json: bool) -> None:
    groups = ask(bootstrap_server, lambda admin: admin.list_groups(states=states, types=types))
    rows = [(each.id, each.type, each.protocol_type, each.state) for each in groups]
    if as_json:
        keys = ("group", "type", "protocol", "state")
        show_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        show_rows(("Group", "Type", "Protocol", "State"), rows)


# -- describe


def describe(
    bootstrap_server: str, ids: Sequence[str], *, members: bool, state: bool, verbose: bool, as_json: bool
) -> None:
    if members and state:
        raise CommandError("--members and --state are two views: give one of them", exit_code=WRONGLY_ASKED)
    views, refused = ask(bootstrap_server, lambda admin: look_at(admin, ids))
    if as_json:
        show_json([_view_json(each) for each in views])
    elif state:
        _show_states(views)
    elif members:
        _show_members(views, verbose=verbose)
    else:
        _show_offsets(views, verbose=verbose)
    fail_if_any_refused(refused, "describe")


def _show_states(views: Sequence[GroupView]) -> None:
    headings = ("Group", "State", "Type", "Assignor", "Coordinator", "Members", "Lag")
    rows = [
        (
            each.group.id,
            each.group.state,
            each.group.type,
            each.group.assignor,
            _coordinator(each.group),
            len(each.group.members),
            each.lag,
        )
        for each in views
    ]
    show_rows(headings, rows, numbers=("Members", "Lag"))


def _show_members(views: Sequence[GroupView], *, verbose: bool) -> None:
    """Verbose: what each member has, and in groups of the new protocol also its epoch and what it shall have."""
    if verbose and sys.stdout.isatty():
        _show_assignments(views)
        return
    headings = ["Member", "Instance", "Host", "Client", "Partitions"]
    if verbose:
        headings += ["Epoch", "Assignment", "Target"]
    _show_each(
        views, headings, lambda view: [_member_row(each, verbose) for each in view.group.members], ("Partitions",)
    )


def _member_row(member: GroupMember, verbose: bool) -> tuple[object, ...]:
    assignment = member.assignment
    row = (
        member.id,
        member.instance_id,
        member.host,
        member.client_id,
        None if assignment is None else len(assignment),
    )
    if not verbose:
        return row
    return (*row, member.epoch, partitions_text(assignment or ()), partitions_text(member.target or ()))


def _show_assignments(views: Sequence[GroupView]) -> None:
    """Ids and assignments are too long for the columns of a table."""
    for view in views:
        print(_headline(view))
        for member in view.group.members:
            instance = "" if member.instance_id is None else f", instance {member.instance_id}"
            epoch = "" if member.epoch is None else f", epoch {member.epoch}"
            print(f"  {member.id}")
            print(f"    {member.client_id} at {member.host}{instance}{epoch}")
            print(f"    has {partitions_text(member.assignment or ()) or 'nothing'}")
            if member.target is not None and member.target != member.assignment:
                print(f"    shall have {partitions_text(member.target) or 'nothing'}")
        print()


def _show_offsets(views: Sequence[GroupView], *, verbose: bool) -> None:
    """On a terminal, hosts and the long ids of members are left out unless wanted; a pipe always gets them, last."""
    headings = ["Topic", "Partition", "Committed", "End", "Lag", "Client"]
    in_full = verbose or not sys.stdout.isatty()
    if in_full:
        headings += ["Host", "Member"]
    numbers = ("Partition", "Committed", "End", "Lag")
    _show_each(views, headings, lambda view: [_progress_row(each, in_full) for each in view.progress], numbers)


def _progress_row(each: PartitionProgress, in_full: bool) -> tuple[object, ...]:
    member = each.member
    row = (
        each.partition.topic,
        each.partition.partition,
        each.committed,
        each.end,
        each.lag,
        None if member is None else member.client_id,
    )
    return row if not in_full else (*row, *((None, None) if member is None else (member.host, member.id)))


def _show_each(
    views: Sequence[GroupView],
    headings: Sequence[str],
    rows_of: Callable[[GroupView], list[tuple[object, ...]]],
    numbers: Sequence[str],
) -> None:
    """On a terminal a table for each group under a line about it, in a pipe all rows with the group in front."""
    for view in views:
        rows = rows_of(view)
        if not sys.stdout.isatty():
            show_rows(headings, [(view.group.id, *row) for row in rows])
            continue
        print(_headline(view))
        if rows:
            show_rows(headings, rows, numbers=numbers)
        print()


def _headline(view: GroupView) -> str:
    group, count = view.group, len(view.group.members)
    members = "no members" if not count else f"{count} member{'' if count == 1 else 's'}"
    assignor = f", assignor {group.assignor}" if group.assignor else ""
    return f"{group.id}: {group.state}, {members}{assignor}, lag {view.lag}"


def _coordinator(group: GroupDescription) -> str:
    at = group.coordinator
    return f"{at.host}:{at.port} ({at.node_id})"


def _view_json(view: GroupView) -> dict[str, object]:
    group = view.group
    return {
        "group": group.id,
        "type": group.type,
        "protocol": group.protocol_type,
        "state": group.state,
        "assignor": group.assignor or None,
        "coordinator": {
            "id": group.coordinator.node_id,
            "host": group.coordinator.host,
            "port": group.coordinator.port,
        },
        "epoch": group.epoch,
        "lag": view.lag,
        "members": [_member_json(each) for each in group.members],
        "offsets": [
            {
                "topic": each.partition.topic,
                "partition": each.partition.partition,
                "committed": each.committed,
                "end": each.end,
                "lag": each.lag,
                "member": None if each.member is None else each.member.id,
            }
            for each in view.progress
        ],
    }


def _member_json(member: GroupMember) -> dict[str, object]:
    return {
        "id": member.id,
        "instance_id": member.instance_id,
        "client_id": member.client_id,
        "host": member.host,
        "epoch": member.epoch,
        "assignment": _partitions_json(member.assignment),
        "target": _partitions_json(member.target),
    }


def _partitions_json(partitions: Sequence[TopicPartition] | None) -> list[dict[str, object]] | None:
    if partitions is None:
        return None
    return [{"topic": each.topic, "partition": each.partition} for each in partitions]


# -- delete


def delete(bootstrap_server: str, ids: Sequence[str]) -> None:
    outcomes = ask(bootstrap_server, lambda admin: admin.delete_groups(ids))
    for name, outcome in outcomes.items():
        if outcome is None:
            print(f"deleted {name}")
    fail_if_any_refused({name: each for name, each in outcomes.items() if each is not None}, "delete")


def delete_offsets(bootstrap_server: str, group: str, scopes: Sequence[TopicScope]) -> None:
    async def question(admin: Admin) -> dict[TopicPartition, KafkaError | None]:
        return await admin.delete_group_offsets(group, await partitions_of(admin, scopes))

    outcomes = ask(bootstrap_server, question)
    for partition, outcome in outcomes.items():
        if outcome is None:
            print(f"deleted the offset of {group} in {partition}")
    refused = {str(partition): each for partition, each in outcomes.items() if each is not None}
    fail_if_any_refused(refused, f"delete the offset of {group} in")
