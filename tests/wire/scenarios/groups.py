"""Classic groups: who coordinates, how members keep together, what an administrator sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from support.scenarios import Family, Kept, Scenario, Step, answer, call, every
from support.wire import VERSIONS, Api
from wire.shapes import create, topic

GROUP, TRANSACTION, SHARE = 0, 1, 2
READS_T = b"\0\1\0\0\0\1\0\1t\xff\xff\xff\xff"
"""A consumer's subscription, version 1: the topic `t`, no user data."""
RANGE = (("range", READS_T),)


def find(label: str, *keys: str, version: int = 6, key_type: int = GROUP) -> Step:
    return call(Api.FIND_COORDINATOR, version, label, key_type=key_type, coordinator_keys=list(keys))


def join_fields(
    group: str,
    member: Any = "",
    *,
    instance: str | None = None,
    protocols: Sequence[tuple[str, bytes]] = RANGE,
    protocol_type: str = "consumer",
    session_ms: int = 30_000,
    rebalance_ms: int = 30_000,
) -> dict[str, Any]:
    return {
        "group_id": group,
        "session_timeout_ms": session_ms,
        "rebalance_timeout_ms": rebalance_ms,
        "member_id": member,
        "group_instance_id": instance,
        "protocol_type": protocol_type,
        "protocols": [{"name": name, "metadata": metadata} for name, metadata in protocols],
        "reason": "asked to",
    }


def join(label: str, group: str, member: Any = "", *, version: int = 9, **more: Any) -> Step:
    return _one(Api.JOIN_GROUP, version, label, join_fields(group, member, **more))


def sync_fields(
    group: str,
    member: Any,
    generation: int,
    assignments: Mapping[str, bytes] | None = None,
    *,
    instance: str | None = None,
    protocol: str | None = "range",
    protocol_type: str | None = "consumer",
) -> dict[str, Any]:
    """`assignments` by the name under which a member's id was kept."""
    assigned = [{"member_id": Kept(name), "assignment": part} for name, part in (assignments or {}).items()]
    return {
        "group_id": group,
        "generation_id": generation,
        "member_id": member,
        "group_instance_id": instance,
        "protocol_type": protocol_type,
        "protocol_name": protocol,
        "assignments": assigned,
    }


def sync(label: str, group: str, member: Any, generation: int, *args: Any, version: int = 5, **more: Any) -> Step:
    return _one(Api.SYNC_GROUP, version, label, sync_fields(group, member, generation, *args, **more))


def beat(label: str, group: str, member: Any, generation: int, *, version: int = 4, instance: Any = None) -> Step:
    fields = {"group_id": group, "generation_id": generation, "member_id": member, "group_instance_id": instance}
    return _one(Api.HEARTBEAT, version, label, fields)


def leave(label: str, group: str, *members: tuple[Any, str | None], version: int = 5) -> Step:
    listed = [{"member_id": member, "group_instance_id": instance, "reason": "going"} for member, instance in members]
    fields = {"group_id": group, "member_id": members[0][0] if members else "", "members": listed}
    return _one(Api.LEAVE_GROUP, version, label, fields)


def describe(
    label: str, *groups: str, version: int = 6, operations: bool = False, until: tuple[str, Any] | None = None
) -> Step:
    fields = {"groups": list(groups), "include_authorized_operations": operations}
    return replace(_one(Api.DESCRIBE_GROUPS, version, label, fields), until=until)


def listing(label: str, *, states: Sequence[str] = (), types: Sequence[str] = (), version: int = 5) -> Step:
    return _one(Api.LIST_GROUPS, version, label, {"states_filter": list(states), "types_filter": list(types)})


def _one(api: Api, version: int, label: str, fields: Mapping[str, Any]) -> Step:
    (step,) = every(api, fields, label, versions=[version])
    return step


def keeping(step: Step, **kept: str) -> Step:
    return replace(step, keep=kept)


def on(connection: str, step: Step, *, later: bool = False) -> Step:
    return replace(step, on=connection, later=later)


def lone(group: str, *, name: str | None = None, **more: Any) -> list[Step]:
    """A stable group of one, whose id is kept under `name` or the group's."""
    kept = name or group
    return [
        keeping(join("first", group, version=3, **more), **{kept: "member_id"}),
        sync("of the leader", group, Kept(kept), 1, {kept: b"all"}, version=3),
    ]


SET_UP = Scenario(
    "set up",
    [create("topics", topic("t", 2), topic("u")), find("of a group", "g")],
)

FIND = [
    SET_UP,
    Scenario(
        "a group, in every version",
        every(Api.FIND_COORDINATOR, {"key": "g", "key_type": GROUP, "coordinator_keys": ["g"]}),
    ),
    Scenario(
        "a transaction, in every version that has them",
        every(
            Api.FIND_COORDINATOR,
            {"key": "x", "key_type": TRANSACTION, "coordinator_keys": ["x"]},
            versions=range(1, 7),
        ),
    ),
    Scenario(
        "variants",
        [
            find("several", "a", "b", "a"),
            find("none"),
            find("a name of no characters", ""),
            *(find(f"type {number}", "a", key_type=number) for number in (3, -1, 127)),
            *every(
                Api.FIND_COORDINATOR, {"key": "x", "key_type": 3, "coordinator_keys": ["x"]}, "type 3", versions=[1, 3]
            ),
        ],
    ),
]


def life(version: int) -> Scenario:
    """Join, sync, show life, leave: JoinGroup in this version, the others in the one nearest to it."""
    group, member = f"life {version}", Kept(f"member {version}")
    kept = {f"member {version}": "member_id"}
    first = keeping(join("first", group, version=version), **kept)
    again = [join("with its id", group, member, version=version)] if version >= 4 else []
    return Scenario(
        f"a member's life, v{version}",
        [
            first,
            *again,
            sync("with its part", group, member, 1, {f"member {version}": b"part"}, version=min(version, 5)),
            sync("again", group, member, 1, version=min(version, 5)),
            beat("alive", group, member, 1, version=min(version, 4)),
            describe("stable", group, version=min(version, 6)),
            leave("goes", group, (member, None), version=min(version, 5)),
            beat("after it went", group, member, 1, version=min(version, 4)),
            describe("empty", group, version=min(version, 6)),
        ],
    )


JOINS = [
    SET_UP,
    *(life(version) for version in VERSIONS[Api.JOIN_GROUP]),
    Scenario(
        "what is refused, in every version of JoinGroup",
        [
            *every(Api.JOIN_GROUP, join_fields(""), "no group id"),
            *every(Api.JOIN_GROUP, join_fields("x", "nobody"), "an unknown member of an unknown group"),
            *every(Api.JOIN_GROUP, join_fields("x", session_ms=100), "a short session"),
            *every(Api.JOIN_GROUP, join_fields("x", session_ms=10_000_000), "a long session"),
            *every(Api.JOIN_GROUP, join_fields("x", protocols=()), "no protocols"),
            *every(Api.JOIN_GROUP, join_fields("x", protocol_type=""), "no protocol type"),
        ],
    ),
    Scenario(
        "joins that do not fit the group",
        [
            *lone("fit"),
            join("another protocol", "fit", version=3, protocols=(("sticky", b""),)),
            join("another type", "fit", version=3, protocol_type="connect"),
            join("an unknown member", "fit", "nobody"),
            join("an unknown instance with an id", "fit", "nobody", instance="ghost"),
            beat("nothing has happened", "fit", Kept("fit"), 1),
        ],
    ),
    Scenario(
        "what members are refused",
        [
            *lone("m"),
            *every(Api.HEARTBEAT, lambda v: {"group_id": "", "generation_id": 1, "member_id": "m"}, "no group id"),
            *every(Api.HEARTBEAT, lambda v: {"group_id": "no", "generation_id": 1, "member_id": "m"}, "no such group"),
            *every(Api.HEARTBEAT, lambda v: {"group_id": "m", "generation_id": 1, "member_id": "m"}, "no such member"),
            beat("generation 0", "m", Kept("m"), 0),
            beat("generation 2", "m", Kept("m"), 2),
            beat("generation -1", "m", Kept("m"), -1),
            beat("no such instance", "m", Kept("m"), 1, instance="ghost"),
            *every(Api.SYNC_GROUP, sync_fields("", "m", 1), "no group id"),
            *every(Api.SYNC_GROUP, sync_fields("no", "m", 1), "no such group"),
            *every(Api.SYNC_GROUP, sync_fields("m", "m", 1), "no such member"),
            sync("generation 2", "m", Kept("m"), 2),
            sync("another protocol", "m", Kept("m"), 1, protocol="sticky"),
            sync("another type", "m", Kept("m"), 1, protocol_type="connect"),
            sync("no protocol", "m", Kept("m"), 1, protocol=None),
            sync("no type", "m", Kept("m"), 1, protocol_type=None),
            sync("all in order", "m", Kept("m"), 1),
            *every(Api.LEAVE_GROUP, {"group_id": "", "member_id": "m", "members": [{"member_id": "m"}]}, "no group id"),
            *every(Api.LEAVE_GROUP, {"group_id": "no", "member_id": "m", "members": [{"member_id": "m"}]}, "no group"),
            *every(Api.LEAVE_GROUP, {"group_id": "m", "member_id": "m", "members": [{"member_id": "m"}]}, "no member"),
            leave("nobody", "m"),
            leave("no such instance", "m", ("", "ghost")),
            leave("some known, some not", "m", ("nobody", None), (Kept("m"), None), ("", "ghost")),
        ],
    ),
    Scenario(
        "a pending member",
        [
            keeping(join("asks for an id", "pend"), pend="member_id"),
            describe("while it is pending", "pend"),
            beat("before it joins", "pend", Kept("pend"), 0),
            leave("goes before it joins", "pend", (Kept("pend"), None)),
            join("with the id it gave back", "pend", Kept("pend")),
        ],
    ),
    Scenario(
        "two members",
        [
            *lone("two", name="one"),
            keeping(on("b", join("the second asks for an id", "two")), other="member_id"),
            on("b", join("the second waits", "two", Kept("other")), later=True),
            describe("until it waits", "two", until=("groups.0.group_state", "PreparingRebalance")),
            beat("the first hears of it", "two", Kept("one"), 1),
            sync("its part is not told during a rebalance", "two", Kept("one"), 1),
            join("the first comes, too", "two", Kept("one")),
            answer(Api.JOIN_GROUP, 9, "the second is told", on="b"),
            describe("completing", "two"),
            beat("a heartbeat while it completes", "two", Kept("one"), 2),
            join("again while it completes", "two", Kept("one")),
            on("b", sync("the second waits for its part", "two", Kept("other"), 2), later=True),
            sync("the leader assigns", "two", Kept("one"), 2, {"one": b"first", "other": b"second"}),
            answer(Api.SYNC_GROUP, 5, "the second gets its part", on="b"),
            on("b", join("a follower that changes nothing", "two", Kept("other"))),
            describe("stable", "two", operations=True),
            on("b", leave("the second goes", "two", (Kept("other"), None))),
            beat("the first hears of it again", "two", Kept("one"), 2),
            join("alone again", "two", Kept("one")),
            sync("alone again", "two", Kept("one"), 3, {"one": b"all"}),
        ],
    ),
    Scenario(
        "the protocol that most prefer",
        [
            keeping(join("likes b", "vote", version=3, protocols=(("b", b"1"), ("a", b"2"))), v1="member_id"),
            on("b", join("likes a", "vote", version=3, protocols=(("a", b"3"), ("b", b"4"))), later=True),
            on("c", join("likes a, too", "vote", version=3, protocols=(("a", b"5"), ("b", b"6"))), later=True),
            describe("until all are there", "vote", until=("groups.0.members.2.client_id", "wire")),
            beat("called to join again", "vote", Kept("v1"), 1),
            on("d", join("knows neither", "vote", version=3, protocols=(("c", b""),))),
        ],
    ),
]

STATIC = [
    SET_UP,
    *(
        Scenario(
            f"a static member comes back, v{version}",
            [
                keeping(
                    join("first", f"static {version}", version=version, instance="i"), **{f"old {version}": "member_id"}
                ),
                sync(
                    "assigns",
                    f"static {version}",
                    Kept(f"old {version}"),
                    1,
                    {f"old {version}": b"part"},
                    instance="i",
                    version=min(version, 5),
                ),
                keeping(
                    join("is back", f"static {version}", version=version, instance="i"),
                    **{f"new {version}": "member_id"},
                ),
                sync("its part", f"static {version}", Kept(f"new {version}"), 1, instance="i", version=min(version, 5)),
                beat("the former one is fenced", f"static {version}", Kept(f"old {version}"), 1, instance="i"),
                sync("the former one is fenced", f"static {version}", Kept(f"old {version}"), 1, instance="i"),
                join(
                    "the former one is fenced",
                    f"static {version}",
                    Kept(f"old {version}"),
                    version=version,
                    instance="i",
                ),
                leave("the former one is fenced", f"static {version}", (Kept(f"old {version}"), "i")),
                beat("the new one is well", f"static {version}", Kept(f"new {version}"), 1, instance="i"),
                describe("as it is", f"static {version}"),
                leave("an administrator removes it", f"static {version}", ("", "i")),
                describe("empty", f"static {version}"),
            ],
        )
        for version in range(5, 10)
    ),
    Scenario(
        "a static member comes back with another protocol",
        [
            keeping(join("first", "sp", instance="i", protocols=(("a", b""), ("b", b""))), sp="member_id"),
            sync("assigns", "sp", Kept("sp"), 1, {"sp": b"part"}, instance="i", protocol="a"),
            keeping(join("without the chosen one", "sp", instance="i", protocols=(("b", b""),)), sp2="member_id"),
            sync("assigns", "sp", Kept("sp2"), 2, {"sp2": b"part"}, instance="i", protocol="b"),
        ],
    ),
]

ADMIN = [
    SET_UP,
    Scenario("groups to look at", [*lone("stable"), *lone("left"), leave("goes", "left", (Kept("left"), None))]),
    Scenario(
        "describe, in every version",
        [
            *every(Api.DESCRIBE_GROUPS, {"groups": ["stable", "left", "unknown", ""]}),
            *every(Api.DESCRIBE_GROUPS, {"groups": ["stable", "unknown"], "include_authorized_operations": True}),
            describe("none"),
            describe("one twice", "left", "left"),
        ],
    ),
    Scenario(
        "list, in every version",
        [
            *every(Api.LIST_GROUPS, {}),
            *(
                listing(f"states {states}", states=states)
                for states in (["Stable"], ["eMPTY", "dead"], ["nonsense"], [""])
            ),
            *(listing(f"types {types}", types=types) for types in (["classic"], ["CONSUMER"], ["nonsense"])),
            listing("both", states=["Empty"], types=["Classic"]),
        ],
    ),
    Scenario(
        "delete, in every version",
        [
            *every(Api.DELETE_GROUPS, {"groups_names": ["unknown", "stable", ""]}),
            call(Api.DELETE_GROUPS, 2, "one that is empty", groups_names=["left"]),
            call(Api.DELETE_GROUPS, 2, "it is gone", groups_names=["left"]),
            call(Api.DELETE_GROUPS, 2, "none", groups_names=[]),
            describe("gone", "left", "stable"),
        ],
    ),
]

FEW = {"offsets.topic.num.partitions": "2"}

FAMILIES = [
    Family("find_coordinator", FIND, FEW),
    Family("classic_members", JOINS, FEW),
    Family("static_members", STATIC, FEW),
    Family("classic_groups_admin", ADMIN, FEW),
]
