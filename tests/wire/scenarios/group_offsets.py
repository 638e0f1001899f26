"""Committed offsets of classic groups, and of those that have no members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.scenarios import Family, Kept, Scenario, Step, call, every
from support.wire import Api
from wire.scenarios.groups import FEW, describe, find, join, keeping, leave, lone, sync
from wire.scenarios.topics import delete
from wire.shapes import MADE_UP_ID, create_and_keep_id

NO_ID = "0" * 32


def partition(index: int, offset: int, metadata: str | None = "m", *, epoch: int = -1) -> dict[str, Any]:
    return {
        "partition_index": index,
        "committed_offset": offset,
        "committed_leader_epoch": epoch,
        "committed_metadata": metadata,
    }


def commit_fields(
    group: str,
    *topics: tuple[str, Any, Sequence[dict[str, Any]]],
    member: Any = "",
    generation: int = -1,
    instance: str | None = None,
    retention_ms: int = -1,
) -> dict[str, Any]:
    """`topics` are (name, id, partitions)."""
    listed = [{"name": name, "topic_id": topic_id, "partitions": list(parts)} for name, topic_id, parts in topics]
    return {
        "group_id": group,
        "generation_id_or_member_epoch": generation,
        "member_id": member,
        "group_instance_id": instance,
        "retention_time_ms": retention_ms,
        "topics": listed,
    }


def t(*parts: dict[str, Any]) -> tuple[str, Any, Sequence[dict[str, Any]]]:
    return "t", Kept("t id"), parts


def commit(label: str, group: str, *topics: Any, version: int = 9, **more: Any) -> Step:
    (step,) = every(Api.OFFSET_COMMIT, commit_fields(group, *topics, **more), label, versions=[version])
    return step


def fetch_fields(
    group: str, topics: Sequence[tuple[str, Any, Sequence[int]]] | None, stable: bool = False
) -> dict[str, Any]:
    """In the form of every version: one group at the top, and the same one in a list."""
    listed = None
    if topics is not None:
        listed = [{"name": name, "topic_id": topic_id, "partition_indexes": list(at)} for name, topic_id, at in topics]
    of_group = {"group_id": group, "topics": listed, "member_id": None, "member_epoch": -1}
    return {"group_id": group, "topics": listed, "groups": [of_group], "require_stable": stable}


def fetch_of(group: str, partitions: Sequence[int] | None, version: int) -> dict[str, Any]:
    """One of several groups: these partitions of `t`, or all it has."""
    named = {"topic_id": Kept("t id")} if version >= 10 else {"name": "t"}
    fields: dict[str, Any] = {
        "group_id": group,
        "topics": None if partitions is None else [named | {"partition_indexes": list(partitions)}],
    }
    return fields | ({"member_id": None, "member_epoch": -1} if version >= 9 else {})


def fetch(label: str, group: str, *topics: tuple[str, Any, Sequence[int]], version: int = 9) -> Step:
    (step,) = every(Api.OFFSET_FETCH, fetch_fields(group, topics or None), label, versions=[version])
    return step


def forget(label: str, group: str, *topics: tuple[str, Sequence[int]]) -> Step:
    listed = [{"name": name, "partitions": [{"partition_index": at} for at in parts]} for name, parts in topics]
    return call(Api.OFFSET_DELETE, 0, label, group_id=group, topics=listed)


T = ("t", Kept("t id"))
SET_UP = Scenario("set up", [create_and_keep_id("t", 2), create_and_keep_id("u"), find("of a group", "g")])

COMMITS = [
    SET_UP,
    Scenario(
        "nobody's commit, in every version",
        [
            *every(Api.OFFSET_COMMIT, commit_fields("plain", t(partition(0, 5), partition(1, 6, None, epoch=3)))),
            *every(Api.OFFSET_COMMIT, commit_fields("", t(partition(0, 5))), "group id of no characters"),
            describe("it makes a group", "plain"),
        ],
    ),
    Scenario(
        "what is not there, in every version",
        every(
            Api.OFFSET_COMMIT,
            commit_fields(
                "plain",
                t(partition(0, 7), partition(2, 7), partition(-1, 7)),
                ("nothing", MADE_UP_ID, [partition(0, 7), partition(1, 7)]),
                ("", NO_ID, [partition(0, 7)]),
            ),
        ),
    ),
    Scenario(
        "metadata and offsets",
        [
            commit("as large as may be", "meta", t(partition(0, 1, "m" * 4096))),
            commit("too large", "meta", t(partition(0, 2, "m" * 4097), partition(1, 3, "fits"))),
            commit("without characters", "meta", t(partition(0, 4, ""))),
            commit("a negative offset", "meta", t(partition(0, -1))),
            commit("the largest offset", "meta", t(partition(1, 2**63 - 1))),
            commit("a partition twice", "meta", t(partition(0, 8), partition(0, 9))),
            commit("a topic twice", "meta", t(partition(0, 10)), t(partition(0, 11))),
            commit("no topics", "meta"),
            commit("no partitions", "meta", t()),
            fetch("what is there", "meta"),
        ],
    ),
    Scenario(
        "who is no member, in every version",
        [
            *every(Api.OFFSET_COMMIT, commit_fields("no group", t(partition(0, 5)), member="m", generation=1)),
            *every(
                Api.OFFSET_COMMIT,
                commit_fields("plain", t(partition(0, 5)), member="m", generation=1),
                "of one without",
            ),
            *every(Api.OFFSET_COMMIT, commit_fields("plain", t(partition(0, 5)), member="m"), "without a generation"),
        ],
    ),
    Scenario(
        "members, in every version",
        [
            *lone("own"),
            *every(Api.OFFSET_COMMIT, commit_fields("own", t(partition(0, 5)), member=Kept("own"), generation=1)),
            *every(
                Api.OFFSET_COMMIT, commit_fields("own", t(partition(0, 5)), member=Kept("own"), generation=0), "late"
            ),
            *every(
                Api.OFFSET_COMMIT, commit_fields("own", t(partition(0, 5)), member="other", generation=1), "a stranger"
            ),
            *every(Api.OFFSET_COMMIT, commit_fields("own", t(partition(0, 5))), "nobody"),
            commit("no such instance", "own", t(partition(0, 5)), member=Kept("own"), generation=1, instance="ghost"),
            fetch("what is there", "own"),
        ],
    ),
    Scenario(
        "during a rebalance",
        [
            keeping(join("first", "reb", version=3), reb="member_id"),
            commit("while it completes", "reb", t(partition(0, 5)), member=Kept("reb"), generation=1),
            sync("assigns", "reb", Kept("reb"), 1, {"reb": b"part"}),
            commit("in the stable group", "reb", t(partition(0, 6)), member=Kept("reb"), generation=1),
            leave("goes", "reb", (Kept("reb"), None)),
            commit("after it went", "reb", t(partition(0, 7)), member=Kept("reb"), generation=1),
            commit("nobody", "reb", t(partition(0, 8))),
            fetch("what is there", "reb"),
        ],
    ),
    Scenario(
        "a retention of its own",
        [
            *(
                commit(f"in v{version}", "ret", t(partition(0, version)), version=version, retention_ms=3_600_000)
                for version in (2, 3, 4)
            ),
            fetch("what is there", "ret"),
        ],
    ),
]

FETCHES = [
    SET_UP,
    Scenario(
        "some, in every version",
        [
            commit("set up", "g", t(partition(0, 5, "five", epoch=2), partition(1, 6, None))),
            *every(Api.OFFSET_FETCH, fetch_fields("g", [(*T, [0, 1, 2, -1])])),
            *every(Api.OFFSET_FETCH, fetch_fields("g", [("nothing", MADE_UP_ID, [0, 1])]), "no such topic"),
            *every(Api.OFFSET_FETCH, fetch_fields("g", [("u", Kept("u id"), [0])]), "nothing committed"),
            *every(Api.OFFSET_FETCH, fetch_fields("nobody", [(*T, [0])]), "no such group"),
            *every(Api.OFFSET_FETCH, fetch_fields("", [(*T, [0])]), "group id of no characters"),
            *every(Api.OFFSET_FETCH, fetch_fields("g", [(*T, [])]), "no partitions"),
            *every(Api.OFFSET_FETCH, fetch_fields("g", []), "no topics"),
            *every(Api.OFFSET_FETCH, fetch_fields("g", [(*T, [0, 0])]), "one twice"),
            *every(Api.OFFSET_FETCH, fetch_fields("g", [(*T, [0])], stable=True), "stable ones"),
        ],
    ),
    Scenario(
        "all, in every version that has it",
        [
            commit("one more", "g", ("u", Kept("u id"), [partition(0, 7)])),
            *every(Api.OFFSET_FETCH, fetch_fields("g", None), versions=range(2, 11)),
            *every(Api.OFFSET_FETCH, fetch_fields("nobody", None), "no such group", versions=range(2, 11)),
        ],
    ),
    Scenario(
        "several groups",
        [
            commit("another group", "h", t(partition(0, 50))),
            *(
                call(
                    Api.OFFSET_FETCH,
                    version,
                    "three",
                    groups=[
                        fetch_of("h", None, version),
                        fetch_of("nobody", None, version),
                        fetch_of("g", [0], version),
                    ],
                    require_stable=False,
                )
                for version in (8, 9, 10)
            ),
            call(Api.OFFSET_FETCH, 9, "none", groups=[], require_stable=False),
        ],
    ),
    Scenario(
        "after offsets went",
        [
            forget("some", "g", ("t", [0, 1, 7]), ("u", [0]), ("nothing", [0])),
            fetch("what is left", "g"),
            forget("again", "g", ("t", [0])),
            forget("of no group", "nobody", ("t", [0])),
            forget("no group id", "", ("t", [0])),
            forget("no topics", "g"),
            *lone("reader"),
            commit("a member's", "reader", t(partition(0, 5)), member=Kept("reader"), generation=1),
            commit(
                "a member's of another topic",
                "reader",
                ("u", Kept("u id"), [partition(0, 5)]),
                member=Kept("reader"),
                generation=1,
            ),
            forget("of a topic that is read, and of one that is not", "reader", ("t", [0]), ("u", [0])),
            *lone("worker", protocol_type="connect"),
            forget("of a group that is no consumers'", "worker", ("t", [0])),
            fetch("what is left", "reader"),
        ],
    ),
    Scenario(
        "after the topic went",
        [
            commit("set up", "gone", t(partition(0, 5)), ("u", Kept("u id"), [partition(0, 6)])),
            delete("the topic", "u"),
            fetch("all", "gone"),
            fetch("the one", "gone", ("u", Kept("u id"), [0])),
            fetch("the one, by its id", "gone", ("u", Kept("u id"), [0]), version=10),
        ],
    ),
]

FAMILIES = [Family("offset_commits", COMMITS, FEW), Family("offset_fetches", FETCHES, FEW)]
