"""Groups of the new protocol (KIP-848): heartbeats by hand, offsets, and what an administrator sees.

Assignments are computed at once, not once in a second, so that an answer does not depend on the pace of the run. Members of
which it matters who gets what ask for `range`, whose result does not depend on the order of a hash map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.scenarios import Family, Kept, Scenario, Step, call, every
from support.wire import Api
from wire.scenarios.group_offsets import commit, partition, t
from wire.scenarios.groups import find, join
from wire.scenarios.topics import delete, grow
from wire.shapes import create_and_keep_id

JOINING, LEAVING, AWAY = 0, -1, -2
T = ("t",)
SETTINGS = {"group.consumer.assignment.interval.ms": "0"}


def owned(*partitions: int) -> list[dict[str, Any]]:
    return [{"topic_id": Kept("t id"), "partitions": list(partitions)}] if partitions else []


def beat(
    label: str,
    group: str,
    member: Any,
    epoch: int,
    *,
    version: int = 1,
    topics: Sequence[str] | None = None,
    regex: str | None = None,
    owns: list[dict[str, Any]] | None = None,
    patience_ms: int = -1,
    instance: str | None = None,
    rack: str | None = None,
    assignor: str | None = None,
    keep: dict[str, str] | None = None,
) -> Step:
    fields = {
        "group_id": group,
        "member_id": member,
        "member_epoch": epoch,
        "instance_id": instance,
        "rack_id": rack,
        "rebalance_timeout_ms": patience_ms,
        "subscribed_topic_names": None if topics is None else list(topics),
        "server_assignor": assignor,
        "topic_partitions": owns,
    }
    if version > 0:
        fields["subscribed_topic_regex"] = regex
    return call(Api.CONSUMER_GROUP_HEARTBEAT, version, label, keep=keep, **fields)


def enter(label: str, group: str, member: Any, topics: Sequence[str] | None = T, **more: Any) -> Step:
    """A full request of a member that joins."""
    return beat(label, group, member, JOINING, topics=topics, owns=[], patience_ms=60_000, **more)


def describe(label: str, *groups: str, versions: Sequence[int] = (1,), operations: bool = False) -> list[Step]:
    fields = {"group_ids": list(groups), "include_authorized_operations": operations}
    return every(Api.CONSUMER_GROUP_DESCRIBE, fields, label, versions=versions)


def fetch(label: str, group: str, member: str | None, epoch: int, *, version: int = 9) -> Step:
    topics = [{"name": "t", "topic_id": Kept("t id"), "partition_indexes": [0]}]
    asked = {"group_id": group, "member_id": member, "member_epoch": epoch, "topics": topics}
    (step,) = every(Api.OFFSET_FETCH, {"groups": [asked], "require_stable": False}, label, versions=[version])
    return step


def list_groups(label: str, *, states: Sequence[str] = (), types: Sequence[str] = ()) -> Step:
    return call(Api.LIST_GROUPS, 5, label, states_filter=list(states), types_filter=list(types))


SET_UP = [find("the coordinator", "g"), create_and_keep_id("t", 4)]


MEMBERS = [
    Scenario(
        "one member",
        [
            *SET_UP,
            enter("joins", "one", "m"),
            beat("goes on", "one", "m", 2),
            beat("says what it owns", "one", "m", 2, owns=owned(0, 1, 2, 3)),
            beat("says all", "one", "m", 2, topics=T, owns=owned(0, 1, 2, 3), patience_ms=60_000),
            beat("a later epoch", "one", "m", 3),
            beat("the epoch before, owning nothing", "one", "m", 1, owns=[]),
            beat("an unknown member", "one", "nobody", 2),
            enter("joins again", "one", "m"),
            *describe("in every version", "one", versions=(0, 1)),
            *describe("with operations", "one", operations=True),
            list_groups("all"),
            list_groups("consumers", types=["Consumer"]),
            list_groups("classic ones", types=["classic"]),
            list_groups("stable ones", states=["stable"]),
            *every(Api.DESCRIBE_GROUPS, {"groups": ["one"]}, "as a classic group", versions=(5, 6)),
            call(Api.DELETE_GROUPS, 2, "while it has a member", groups_names=["one"]),
            beat("wants nothing any more", "one", "m", 2, topics=[]),
            beat("has given it up", "one", "m", 2, owns=[]),
            beat("leaves", "one", "m", LEAVING),
            beat("leaves again", "one", "m", LEAVING),
            *describe("when it is empty", "one"),
            list_groups("empty ones", states=["empty"]),
            call(Api.DELETE_GROUPS, 2, "when it is empty", groups_names=["one"]),
            *describe("when it is gone", "one"),
        ],
    ),
    Scenario(
        "the id that version 0 gives",
        [
            *SET_UP,
            enter("without an id", "given", "", version=0, keep={"given id": "member_id"}),
            beat("with it", "given", Kept("given id"), 2, version=0),
            beat("leaves", "given", Kept("given id"), LEAVING, version=0),
        ],
    ),
    Scenario(
        "two members",
        [
            *SET_UP,
            enter("the first", "two", "a", assignor="range"),
            enter("the second", "two", "b", assignor="range"),
            beat("the first must give up", "two", "a", 2),
            *describe("meanwhile", "two"),
            beat("the second waits", "two", "b", 3),
            beat("the first still has it", "two", "a", 2, owns=owned(0, 1, 2, 3)),
            beat("the first has given it up", "two", "a", 2, owns=owned(0, 1)),
            beat("the epoch before, with what it was granted", "two", "a", 2, owns=owned(0, 1)),
            beat("the epoch before, with more", "two", "a", 2, owns=owned(0, 3)),
            beat("the second is served", "two", "b", 3),
            *describe("when it is stable", "two"),
            beat("the second leaves", "two", "b", LEAVING),
            beat("the first has all again", "two", "a", 3),
            grow("more partitions", "t", 5),
            beat("the first is given those, too", "two", "a", 4),
            delete("its topic", "t"),
            beat("the first loses all", "two", "a", 5),
        ],
    ),
    Scenario(
        "static members",
        [
            *SET_UP,
            enter("joins", "static", "a", instance="i"),
            enter("another process of the instance", "static", "b", instance="i"),
            beat("away", "static", "a", AWAY, instance="i"),
            *describe("away", "static"),
            enter("comes back", "static", "b", instance="i"),
            beat("the old process", "static", "a", 2, instance="i"),
            beat("the old process leaves", "static", "a", LEAVING, instance="i"),
            beat("an unknown instance", "static", "a", 2, instance="j"),
            beat("leaves", "static", "b", LEAVING, instance="i"),
        ],
    ),
    Scenario(
        "requests that are refused",
        [
            *SET_UP,
            enter("no group", "", "m"),
            enter("no member", "wrong", ""),
            beat("no member, going on, in v0", "wrong", "", 1, version=0),
            enter("an empty instance", "wrong", "m", instance=""),
            enter("an empty rack", "wrong", "m", rack=""),
            beat("no rebalance timeout", "wrong", "m", JOINING, topics=T, owns=[]),
            beat("owning something", "wrong", "m", JOINING, topics=T, owns=owned(0), patience_ms=1_000),
            beat("not saying what it owns", "wrong", "m", JOINING, topics=T, patience_ms=1_000),
            enter("no subscription", "wrong", "m", None),
            enter("an unknown assignor", "wrong", "m", assignor="sticky"),
            enter("an expression that is none", "wrong", "m", None, regex="("),
            beat("away, but not static", "wrong", "m", AWAY),
            beat("an epoch that is none", "wrong", "m", -3),
            beat("a group that is not there", "wrong", "m", 5),
            beat("leaving a group that is not there", "wrong", "m", LEAVING),
            *describe("a group that is not there", "wrong", ""),
            enter("no topics at all", "idle", "m", []),
            enter("an empty expression", "idle", "n", None, regex=""),
        ],
    ),
    Scenario(
        "groups of the other kind",
        [
            *SET_UP,
            find("the coordinator", "classic"),
            join("a classic group of something else", "classic", version=0, protocol_type="connect"),
            enter("joins it", "classic", "m"),
            beat("goes on in it", "classic", "m", 2),
            *describe("a classic group", "classic"),
            enter("a member", "new", "m"),
            join("a classic member of something else", "new", version=0, protocol_type="connect"),
            join("a classic member that needs an id", "new"),
        ],
    ),
]

OFFSETS = [
    Scenario(
        "offsets of a member",
        [
            *SET_UP,
            enter("joins", "offsets", "m"),
            commit("at its epoch", "offsets", t(partition(0, 10)), member="m", generation=2),
            commit("in v8", "offsets", t(partition(0, 11)), member="m", generation=2, version=8),
            commit("by id", "offsets", t(partition(0, 12)), member="m", generation=2, version=10),
            commit("at a later epoch", "offsets", t(partition(0, 13)), member="m", generation=3),
            commit("at an older epoch", "offsets", t(partition(0, 14)), member="m", generation=1),
            commit("of an unknown member", "offsets", t(partition(0, 15)), member="n", generation=2),
            commit("of nobody", "offsets", t(partition(0, 16))),
            fetch("at its epoch", "offsets", "m", 2),
            fetch("by id", "offsets", "m", 2, version=10),
            fetch("at another epoch", "offsets", "m", 1),
            fetch("of an unknown member", "offsets", "n", 2),
            fetch("of nobody", "offsets", None, -1),
            call(
                Api.OFFSET_DELETE,
                0,
                "of a topic that is read",
                group_id="offsets",
                topics=[{"name": "t", "partitions": [{"partition_index": 0}]}],
            ),
            beat("leaves", "offsets", "m", LEAVING),
            commit("of nobody, when it is empty", "offsets", t(partition(0, 17))),
            fetch("of nobody, when it is empty", "offsets", None, -1),
            call(
                Api.OFFSET_DELETE,
                0,
                "when it is empty",
                group_id="offsets",
                topics=[{"name": "t", "partitions": [{"partition_index": 0}]}],
            ),
            call(Api.DELETE_GROUPS, 2, "with its offsets", groups_names=["offsets"]),
            fetch("when it is gone", "offsets", None, -1),
        ],
    )
]

FAMILIES = [
    Family("consumer_groups", MEMBERS, SETTINGS),
    Family("consumer_group_offsets", OFFSETS, SETTINGS),
]
