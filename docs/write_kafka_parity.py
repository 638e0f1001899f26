"""Writes `docs/kafka-parity.md`: what Ottla has beside what Apache Kafka 4.3.1 has, from the code's own tables.

    make docs        or        python -m docs.write_kafka_parity

A test compares the page with the tables, so that it cannot grow old.  Kafka's side of the APIs is recorded here from
its answer to ApiVersions; Kafka's side of the settings is in the settings' own tables, which tests hold against Kafka.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ottla.broker.broker_settings import KAFKA_DEFAULTS
from ottla.broker.setting import Setting, format_value
from ottla.broker.settings import BROKER_SETTINGS, TOPIC_SETTINGS
from ottla.protocol.apis import SUPPORTED, Api, ApiKey

PAGE = Path(__file__).with_name("kafka-parity.md")

# Key, name, lowest and highest version, as one KRaft node of Apache Kafka 4.3.1 advertises them to clients.
KAFKAS_APIS = """
0 Produce 0 13
1 Fetch 4 18
2 ListOffsets 1 11
3 Metadata 0 13
8 OffsetCommit 2 10
9 OffsetFetch 1 10
10 FindCoordinator 0 6
11 JoinGroup 0 9
12 Heartbeat 0 4
13 LeaveGroup 0 5
14 SyncGroup 0 5
15 DescribeGroups 0 6
16 ListGroups 0 5
17 SaslHandshake 0 1
18 ApiVersions 0 4
19 CreateTopics 2 7
20 DeleteTopics 1 6
21 DeleteRecords 0 2
22 InitProducerId 0 5
23 OffsetForLeaderEpoch 2 4
24 AddPartitionsToTxn 0 5
25 AddOffsetsToTxn 0 4
26 EndTxn 0 5
27 WriteTxnMarkers 1 2
28 TxnOffsetCommit 0 5
29 DescribeAcls 1 3
30 CreateAcls 1 3
31 DeleteAcls 1 3
32 DescribeConfigs 1 4
33 AlterConfigs 0 2
34 AlterReplicaLogDirs 1 2
35 DescribeLogDirs 1 5
36 SaslAuthenticate 0 2
37 CreatePartitions 0 3
38 CreateDelegationToken 1 3
39 RenewDelegationToken 1 2
40 ExpireDelegationToken 1 2
41 DescribeDelegationToken 1 3
42 DeleteGroups 0 2
43 ElectLeaders 0 2
44 IncrementalAlterConfigs 0 1
45 AlterPartitionReassignments 0 1
46 ListPartitionReassignments 0 0
47 OffsetDelete 0 0
48 DescribeClientQuotas 0 1
49 AlterClientQuotas 0 1
50 DescribeUserScramCredentials 0 0
51 AlterUserScramCredentials 0 0
55 DescribeQuorum 0 2
57 UpdateFeatures 0 2
60 DescribeCluster 0 2
61 DescribeProducers 0 0
64 UnregisterBroker 0 0
65 DescribeTransactions 0 0
66 ListTransactions 0 2
68 ConsumerGroupHeartbeat 0 1
69 ConsumerGroupDescribe 0 1
74 ListConfigResources 0 1
75 DescribeTopicPartitions 0 0
76 ShareGroupHeartbeat 1 1
77 ShareGroupDescribe 1 1
78 ShareFetch 1 2
79 ShareAcknowledge 1 2
80 AddRaftVoter 0 1
81 RemoveRaftVoter 0 0
83 InitializeShareGroupState 0 0
84 ReadShareGroupState 0 0
85 WriteShareGroupState 0 1
86 DeleteShareGroupState 0 0
87 ReadShareGroupStateSummary 0 1
88 StreamsGroupHeartbeat 0 0
89 StreamsGroupDescribe 0 0
90 DescribeShareGroupOffsets 0 1
91 AlterShareGroupOffsets 0 0
92 DeleteShareGroupOffsets 0 0
"""

HEAD = """\
# Ottla beside Apache Kafka 4.3.1

Written by `make docs` from the code's own tables; do not edit.  What is in no table is not there yet.
"""

APIS_HEAD = """\
## APIs

Ottla advertises an API version when it is implemented in full; {ours} of Kafka's {kafkas} APIs so far.  As in
Kafka, Produce is advertised from 0 although versions 0 to 2 are no longer spoken.
"""

TOPIC_HEAD = """\
## Topic settings

All of Kafka's are known, checked, kept and described.  **Acts** says whether Ottla does by it.
"""

BROKER_HEAD = """\
## Broker settings

These act in Ottla.  *Changes* says when a setting may change: at start only, or while the broker runs, for one broker
or for all.  A default of ours that is not Kafka's is marked.
"""

OTHERS_HEAD = """\
## Broker settings without meaning here

Ottla knows these {count}, checks them and describes them, so that a Kafka `server.properties` starts it and tools find
what they ask for; they change nothing.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_apis(), *_topic_settings(), *_broker_settings()])


# -- APIs


def _apis() -> Iterator[str]:
    rows = [row.split() for row in KAFKAS_APIS.strip().splitlines()]
    yield APIS_HEAD.format(ours=len(SUPPORTED), kafkas=len(rows))
    yield _table(
        ("Key", "API", "Kafka", "Ottla"),
        ((key, name, _versions(low, high), _our_versions(int(key))) for key, name, low, high in rows),
    )


def _our_versions(key: int) -> str:
    api: Api | None = SUPPORTED.get(ApiKey(key))
    return "" if api is None else _versions(api.min_version, api.max_version)


def _versions(low: int | str, high: int | str) -> str:
    return f"{low}" if str(low) == str(high) else f"{low} – {high}"


# -- settings


def _topic_settings() -> Iterator[str]:
    yield TOPIC_HEAD
    yield _table(
        ("Setting", "Type", "Default", "Acts", "What it does"),
        (
            (f"`{each.name}`", each.type.name.lower(), _value(each.default), "yes" if each.acts else "", each.doc)
            for each in _described(TOPIC_SETTINGS.values())
        ),
    )


def _broker_settings() -> Iterator[str]:
    acting = [each for each in _described(BROKER_SETTINGS.values()) if each.acts]
    yield BROKER_HEAD
    yield _table(
        ("Setting", "Type", "Default", "Changes", "What it does"),
        ((f"`{each.name}`", each.type.name.lower(), _default(each), each.update.value, each.doc) for each in acting),
    )
    others = [each.name for each in _described(BROKER_SETTINGS.values()) if not each.acts]
    yield OTHERS_HEAD.format(count=len(others))
    yield _families(others)


def _described(settings: Iterable[Setting]) -> Iterator[Setting]:
    return (each for each in settings if not each.internal)


def _default(setting: Setting) -> str:
    ours = _value(setting.default)
    if setting.name not in KAFKA_DEFAULTS:
        return ours
    return f"**{ours or 'none'}** (Kafka: {_value(KAFKA_DEFAULTS[setting.name]) or 'none'})"


def _value(value: object) -> str:
    assert value is None or isinstance(value, (bool, int, float, str, tuple)), value
    text = format_value(value)
    return f"`{text}`" if text else ""


def _families(names: Sequence[str]) -> str:
    """The names in one line for each first word, for they are many."""
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(name.split(".")[0], []).append(f"`{name}`")
    return "".join(f"- {', '.join(family)}\n" for family in families.values())


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
