"""`ottla groups …` against a real broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ottla.client.address import Address
from ottla.client.admin import Admin, TopicPartition
from support.broker import BrokerProcess
from support.command_line import Result, lines, ottla
from support.handmade import Record, batch
from support.lone_member import LoneMember, leave_consumer_group
from support.wire import Api, Connection

DAY_MS = 86_400_000
NOON_MS = 1_700_049_600_000  # 2023-11-15T12:00:00Z
RECORDS_IN_0 = 10
INACTIVE = "nothing was changed: this is what --execute would do\n"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """One broker with the topic `t`: ten records in partition 0, a second apart from noon; none in partition 1."""
    settings = {"group.initial.rebalance.delay.ms": "0", "log.retention.ms": "-1"}
    with BrokerProcess(tmp_path_factory.mktemp("broker"), settings) as running:
        ottla("topics", "create", "t", "--partitions", "2", "-b", running.bootstrap)
        records = [Record(b"v", timestamp_delta=at * 1000) for at in range(RECORDS_IN_0)]
        with Connection(running.port) as connection:
            data = [{"index": 0, "records": batch(records, timestamp=NOON_MS)}]
            connection.call(
                Api.PRODUCE, 12, acks=-1, timeout_ms=10_000, topic_data=[{"name": "t", "partition_data": data}]
            )
        yield running


class Groups:
    """`ottla groups` on one broker, and groups to use it on."""

    def __init__(self, broker: BrokerProcess) -> None:
        self._broker = broker
        self._new_members: list[tuple[str, str]] = []

    def __call__(self, *arguments: str, terminal: bool = False) -> Result:
        return ottla("groups", *arguments, "--bootstrap-server", self._broker.bootstrap, terminal=terminal)

    def committed(self, group: str, *offsets: int) -> None:
        """A group without members that has committed these in the partitions of `t`."""

        async def commit() -> None:
            async with Admin(self._broker.bootstrap) as admin:
                wanted = {TopicPartition("t", at): offset for at, offset in enumerate(offsets)}
                assert set((await admin.alter_group_offsets(group, wanted)).values()) == {None}

        asyncio.run(commit())

    def joined(self, group: str, *, instance_id: str | None = None) -> str:
        """A group with a member that has all of `t`, and its id."""

        async def join() -> str:
            address = Address("127.0.0.1", self._broker.port)
            member = await LoneMember.join(address, group, {"t": (0, 1)}, instance_id=instance_id)
            await member.close()
            return member.id

        return asyncio.run(join())

    def joined_by_the_new_protocol(self, group: str) -> str:
        """The same by the protocol of KIP-848."""

        async def join() -> str:
            address = Address("127.0.0.1", self._broker.port)
            member = await LoneMember.join_consumer_group(address, group, {"t": (0, 1)})
            await member.close()
            self._new_members.append((group, member.id))
            return member.id

        return asyncio.run(join())

    def empty(self) -> None:
        async def delete() -> None:
            for group, member_id in self._new_members:
                await leave_consumer_group(Address("127.0.0.1", self._broker.port), group, member_id)
            async with Admin(self._broker.bootstrap) as admin:
                listed = await admin.list_groups()
                for each in listed:
                    if each.type == "classic":
                        await admin.remove_members(each.id)
                outcomes = await admin.delete_groups([each.id for each in listed])
                assert set(outcomes.values()) <= {None}

        asyncio.run(delete())


@pytest.fixture
def groups(broker: BrokerProcess) -> Iterator[Groups]:
    run = Groups(broker)
    yield run
    run.empty()


# -- list and describe


def test_groups_are_listed_with_type_protocol_and_state(groups: Groups) -> None:
    groups.committed("idle", 1)
    groups.joined("busy")

    assert list(lines(groups("list").out)) == [
        ["busy", "classic", "consumer", "Stable"],
        ["idle", "classic", "", "Empty"],
    ]
    assert list(lines(groups("list", "--state", "stable,dead").out)) == [["busy", "classic", "consumer", "Stable"]]
    assert groups("list", "--type", "share").out == ""
    assert json.loads(groups("list", "--state", "Empty", "--json").out) == [
        {"group": "idle", "type": "classic", "protocol": "", "state": "Empty"}
    ]


def test_a_description_tells_the_lag_of_each_partition_and_who_has_it(groups: Groups) -> None:
    groups.committed("g", 4)
    member = groups.joined("g")

    result = groups("describe", "g")

    assert list(lines(result.out)) == [
        ["g", "t", "0", "4", "10", "6", "lone", "/127.0.0.1", member],
        ["g", "t", "1", "", "0", "", "lone", "/127.0.0.1", member],
    ]


def test_on_a_terminal_each_group_has_a_line_and_a_table_and_long_ids_only_when_wanted(groups: Groups) -> None:
    groups.committed("idle", 4, 0)
    member = groups.joined("busy")

    shown = groups("describe", terminal=True).out
    in_full = groups("describe", "busy", "--verbose", terminal=True).out

    assert "busy: Stable, 1 member, assignor range, lag 0\n" in shown
    assert "idle: Empty, no members, lag 6\n" in shown
    assert member not in shown
    assert member.partition("-")[0] in in_full
    assert "Host" in in_full


def test_members_are_shown_with_what_they_have(groups: Groups) -> None:
    member = groups.joined("g", instance_id="first")

    plain = list(lines(groups("describe", "g", "--members").out))
    verbose = list(lines(groups("describe", "g", "--members", "--verbose").out))
    shown = groups("describe", "g", "--members", "--verbose", terminal=True).out

    assert plain == [["g", member, "first", "/127.0.0.1", "lone", "2"]]
    assert verbose == [[*plain[0], "", "t(0,1)", ""]]
    assert f"  {member}\n    lone at /127.0.0.1, instance first\n    has t(0,1)\n" in shown


def test_a_group_of_the_new_protocol_has_epochs_and_targets_besides(groups: Groups) -> None:
    member = groups.joined_by_the_new_protocol("new")

    (row,) = lines(groups("describe", "new", "--members", "--verbose").out)
    (state,) = lines(groups("describe", "new", "--state").out)
    (described,) = json.loads(groups("describe", "new", "--json").out)
    shown = groups("describe", "new", "--members", "--verbose", terminal=True).out

    epoch = described["members"][0]["epoch"]
    assert row == ["new", member, "", "/127.0.0.1", "lone", "2", str(epoch), "t(0,1)", "t(0,1)"]
    assert state[:4] == ["new", "Stable", "consumer", "uniform"]
    assert described["epoch"] == epoch
    assert f"    lone at /127.0.0.1, epoch {epoch}\n    has t(0,1)\n\n" in shown
    assert [line[0] for line in lines(groups("list", "--type", "consumer").out)] == ["new"]


def test_the_state_of_groups_is_a_line_for_each(groups: Groups, broker: BrokerProcess) -> None:
    groups.committed("idle", 4)
    groups.joined("busy")

    assert list(lines(groups("describe", "--state").out)) == [
        ["busy", "Stable", "classic", "range", f"{broker.bootstrap} (1)", "1", "0"],
        ["idle", "Empty", "classic", "", f"{broker.bootstrap} (1)", "0", "6"],
    ]


def test_a_description_in_json_has_everything(groups: Groups, broker: BrokerProcess) -> None:
    groups.committed("g", 4)
    member = groups.joined("g")

    (described,) = json.loads(groups("describe", "g", "--json").out)

    assert (described["state"], described["assignor"], described["lag"]) == ("Stable", "range", 6)
    assert described["coordinator"] == {"id": 1, "host": "127.0.0.1", "port": broker.port}
    assert [(each["id"], len(each["assignment"])) for each in described["members"]] == [(member, 2)]
    assert described["offsets"][1] == {
        "topic": "t", "partition": 1, "committed": None, "end": 0, "lag": None, "member": member
    }  # fmt: skip


def test_describing_a_group_that_is_not_there_says_so_and_shows_the_rest(groups: Groups) -> None:
    groups.committed("g", 4)

    result = groups("describe", "g", "absent")

    assert (result.exit_code, len(list(lines(result.out)))) == (1, 1)
    assert result.err == "ottla: cannot describe absent: Group absent not found.\n"
    assert groups("describe", "--members", "--state").exit_code == 2


# -- delete


def test_groups_without_members_are_deleted_and_others_are_not(groups: Groups) -> None:
    groups.committed("idle", 4)
    groups.joined("busy")

    result = groups("delete", "idle", "busy", "absent")

    assert (result.exit_code, result.out) == (1, "deleted idle\n")
    assert result.err == (
        "ottla: cannot delete busy: it has members: stop them first (NON_EMPTY_GROUP);"
        " cannot delete absent: there is no such group (GROUP_ID_NOT_FOUND)\n"
    )


def test_offsets_are_deleted_of_a_topic_or_of_some_partitions(groups: Groups) -> None:
    groups.committed("g", 4, 0)

    first = groups("delete-offsets", "g", "--topic", "t:1")
    left = list(lines(groups("describe", "g").out))
    second = groups("delete-offsets", "g", "--topic", "t")

    assert first.out == "deleted the offset of g in t-1\n"
    assert [row[2] for row in left] == ["0"]
    assert second.exit_code == 0
    assert groups("describe", "g").out == ""


@pytest.mark.parametrize(
    ("arguments", "exit_code", "line"),
    [
        (("g",), 2, "ottla: say where: --topic TOPIC or --topic TOPIC:0,1\n"),
        (("g", "--topic", "t:x"), 2, "ottla: --topic t:x: write it as --topic TOPIC or --topic TOPIC:0,1,2\n"),
        (("g", "--topic", "t:7"), 1, "ottla: there is no partition t-7: the topic has 2\n"),
        (("g", "--topic", "no"), 1, "ottla: cannot find no: there is no such topic (UNKNOWN_TOPIC_OR_PARTITION)\n"),
        (("absent", "--topic", "t"), 1, "ottla: there is no such group (GROUP_ID_NOT_FOUND)\n"),
    ],
)
def test_what_offsets_cannot_be_deleted_is_said(
    groups: Groups, arguments: tuple[str, ...], exit_code: int, line: str
) -> None:
    groups.committed("g", 4)

    result = groups("delete-offsets", *arguments)

    assert (result.exit_code, result.out, result.err) == (exit_code, "", line)


# -- reset-offsets


def test_a_reset_changes_nothing_until_it_is_told_to(groups: Groups) -> None:
    groups.committed("g", 4, 0)

    shown = groups("reset-offsets", "g", "--topic", "t", "--to-earliest")
    before = [row[3] for row in lines(groups("describe", "g").out)]
    done = groups("reset-offsets", "g", "--topic", "t", "--to-earliest", "--execute")
    after = [row[3] for row in lines(groups("describe", "g").out)]

    assert list(lines(shown.out)) == [["g", "t", "0", "4", "0"], ["g", "t", "1", "0", "0"]]
    assert (shown.err, done.err, done.out) == (INACTIVE, "", shown.out)
    assert (before, after) == (["4", "0"], ["0", "0"])


@pytest.mark.parametrize(
    ("wish", "offset"),
    [
        (("--to-latest",), "10"),
        (("--to-current",), "4"),
        (("--to-offset", "7"), "7"),
        (("--to-offset", "99"), "10"),
        (("--shift-by", "-3"), "1"),
        (("--shift-by", "-30"), "0"),
        (("--to-datetime", "2023-11-15T12:00:02.5"), "3"),
        (("--to-datetime", "2023-11-15T13:00:03+01:00"), "3"),
        (("--to-datetime", str(NOON_MS + 5_000)), "5"),
        (("--to-datetime", "2999-01-01"), "10"),
        (("--by-duration", "PT1H"), "10"),
        (("--by-duration", "36500d"), "0"),
    ],
    ids=" ".join,
)
def test_offsets_go_where_they_are_wished(groups: Groups, wish: tuple[str, ...], offset: str) -> None:
    groups.committed("g", 4)

    result = groups("reset-offsets", "g", "--topic", "t:0", *wish)

    assert (result.exit_code, list(lines(result.out))) == (0, [["g", "t", "0", "4", offset]])


def test_a_reset_is_about_all_that_is_committed_or_about_topics_that_never_were(groups: Groups) -> None:
    groups.committed("g", 4)

    committed = groups("reset-offsets", "g", "--all-topics", "--to-latest")
    first = groups("reset-offsets", "fresh", "--topic", "t", "--to-latest", "--execute")
    every = groups("reset-offsets", "--all-groups", "--all-topics", "--to-earliest", "--json")

    assert [row[2:] for row in lines(committed.out)] == [["0", "4", "10"]]
    assert [row[2:] for row in lines(first.out)] == [["0", "", "10"], ["1", "", "0"]]
    assert [(each["group"], each["partition"], each["after"]) for each in json.loads(every.out)] == [
        ("fresh", 0, 0), ("fresh", 1, 0), ("g", 0, 0)
    ]  # fmt: skip
    assert groups("reset-offsets", "nobody", "--all-topics", "--to-latest").err == (
        "there is nothing to reset: no offset is committed there\n"
    )


def test_a_plan_goes_to_a_file_and_comes_back(groups: Groups, tmp_path: Path) -> None:
    groups.committed("g", 4, 0)
    one, several = tmp_path / "one.csv", tmp_path / "several.csv"

    one.write_text(groups("reset-offsets", "g", "--all-topics", "--shift-by", "-1", "--export").out)
    done = groups("reset-offsets", "g", "--from-file", str(one), "--execute")
    groups.committed("h", 1)
    several.write_text(groups("reset-offsets", "g", "h", "--all-topics", "--to-current", "--export").out)
    again = groups("reset-offsets", "g", "h", "--from-file", str(several), "--export")

    assert one.read_text() == "t,0,3\nt,1,0\n"
    assert [row[2:] for row in lines(done.out)] == [["0", "4", "3"], ["1", "0", "0"]]
    assert several.read_text() == "g,t,0,3\ng,t,1,0\nh,t,0,1\n"
    assert again.out == several.read_text()


def test_offsets_of_a_group_with_members_are_not_reset(groups: Groups) -> None:
    groups.joined("g")

    result = groups("reset-offsets", "g", "--topic", "t", "--to-latest", "--execute")

    assert (result.exit_code, result.out) == (1, "")
    assert result.err == (
        "ottla: the group g is Stable, with members that would commit over it: stop them, then reset its offsets\n"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--topic", "t", "--to-latest"), "name the groups, or give --all-groups"),
        (("g", "--all-groups", "--topic", "t", "--to-latest"), "name the groups, or give --all-groups"),
        (("g", "--topic", "t", "--to-latest", "--shift-by", "1"), "you gave --to-latest and --shift-by"),
        (("g", "--topic", "t"), "say once where to reset to: one of --to-earliest, --to-latest"),
        (("g", "--to-latest"), "say which partitions: --topic TOPIC, --topic TOPIC:0,1 or --all-topics"),
        (("g", "--to-latest", "--topic", "t", "--all-topics"), "say which partitions"),
        (("g", "--topic", "t", "--to-datetime", "noon"), "--to-datetime noon: write it as 2026-11-25T12:00:00 (UTC)"),
        (("g", "--topic", "t", "--by-duration", "PT"), "--by-duration PT: write it as PT1H30M, P1D or short as 90s"),
        (("g", "--from-file", "/no/such/file"), "--from-file /no/such/file: there is no such file"),
        (("g", "--topic", "t:1", "--shift-by", "1"), "the group g has committed nothing in t-1"),
    ],
)
def test_what_is_wrongly_asked_is_one_line(groups: Groups, arguments: tuple[str, ...], line: str) -> None:
    groups.committed("g", 4)

    result = groups("reset-offsets", *arguments)

    assert (result.exit_code, result.out) == (2, "")
    assert line in result.err
    assert result.err.count("\n") == 1
