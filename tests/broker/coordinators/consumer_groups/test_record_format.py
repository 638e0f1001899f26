"""Bytes of records against those that Apache Kafka 4.3.1 wrote for a group of four: two consumers, one of them static, one
with an expression, one of the classic protocol; the static one went away in the end.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from ottla.broker.coordinators.consumer_groups.group import ConsumerGroup, ConsumerGroupState
from ottla.broker.coordinators.consumer_groups.member import (
    AWAY_EPOCH,
    ClassicMember,
    MemberState,
    Standing,
    Subscription,
)
from ottla.broker.coordinators.consumer_groups.record_format import decode, encode_key, encode_value
from ottla.broker.coordinators.consumer_groups.records import (
    ConsumerGroupRecord,
    GroupEpoch,
    GroupEpochRecord,
    RegexRecord,
    StandingRecord,
    SubscriptionRecord,
    TargetEpoch,
    TargetEpochRecord,
    TargetRecord,
    TopicMetadataRecord,
)
from ottla.broker.coordinators.consumer_groups.regex import Resolved
from ottla.broker.coordinators.consumer_groups.topic_image import TopicImage, TopicSeen

RECORDED = Path(__file__).with_name("records_recorded_from_kafka.tsv")
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
PARTITION_COUNTS = {"apples": 3, "bread": 2}


def recorded_topics() -> TopicImage:
    image = TopicImage()
    for line in RECORDED.read_text().splitlines():
        if line.startswith("#"):
            _, name, topic_id = line.split("\t")
            image.put(TopicSeen(name, UUID(topic_id), PARTITION_COUNTS[name]))
    return image


def recorded() -> list[tuple[bytes, bytes | None]]:
    lines = (line.split("\t") for line in RECORDED.read_text().splitlines() if not line.startswith("#"))
    return [(bytes.fromhex(key), bytes.fromhex(value) if value else None) for key, value in lines]


def test_what_kafka_wrote_is_written_again_byte_for_byte() -> None:
    for key, value in recorded():
        record = decode(key, value)

        assert encode_key(record) == key
        assert encode_value(record) == value


def test_what_kafka_wrote_makes_the_group_that_kafka_had() -> None:
    group = ConsumerGroup("new")
    for key, value in recorded():
        group.apply(decode(key, value))
        group.check()

    by_client = {member.subscription.client_id: member for member in group.members.values()}
    assert by_client.keys() == {"one", "two", "three", "classic"}
    assert by_client["classic"].is_classic
    assert by_client["two"].epoch == AWAY_EPOCH
    assert by_client["three"].subscription.regex == "(^.*pp.*)"
    assert group.resolved["(^.*pp.*)"].topics == {"apples"}
    assert group.epoch == group.assignment_epoch == 5
    assert group.state is ConsumerGroupState.RECONCILING


def test_the_hash_over_a_groups_topics_is_kafkas() -> None:
    group = ConsumerGroup("new")
    for key, value in recorded():
        group.apply(decode(key, value))

    assert recorded_topics().hash_of(group.subscriptions.topics) == group.metadata_hash


texts = strategies.text(max_size=12)
int32s = strategies.integers(0, 2**31 - 1)
partitions = strategies.dictionaries(
    strategies.uuids(), strategies.frozensets(int32s, min_size=1, max_size=5), max_size=3
)
owned = strategies.dictionaries(
    strategies.uuids(), strategies.dictionaries(int32s, int32s, min_size=1, max_size=5), max_size=3
)
classics = strategies.builds(
    ClassicMember,
    int32s,
    strategies.lists(strategies.tuples(texts, strategies.binary(max_size=9)), min_size=1, max_size=3).map(tuple),
)
subscriptions = strategies.builds(
    Subscription,
    strategies.none() | texts,
    strategies.none() | texts,
    texts,
    texts,
    strategies.frozensets(texts, max_size=4),
    strategies.none() | texts,
    strategies.integers(-1, 2**31 - 1),
    strategies.none() | texts,
    strategies.none() | classics,
)
known_states = strategies.sampled_from(MemberState)
standings = strategies.builds(Standing, strategies.integers(-2, 2**31 - 1), int32s, known_states, owned, owned)
epochs = strategies.builds(GroupEpoch, int32s, strategies.integers(-(2**63), 2**63 - 1))
target_epochs = strategies.builds(TargetEpoch, strategies.integers(-1, 2**31 - 1), strategies.integers(0, 2**63 - 1))
results = strategies.builds(
    Resolved,
    strategies.frozensets(texts, max_size=4),
    strategies.integers(0, 2**63 - 1),
    strategies.integers(0, 2**63 - 1),
)
records = strategies.one_of(
    strategies.builds(GroupEpochRecord, texts, strategies.none() | epochs),
    strategies.builds(TopicMetadataRecord, texts, strategies.none() | strategies.just(b"\0\0\1\0")),
    strategies.builds(SubscriptionRecord, texts, texts, strategies.none() | subscriptions),
    strategies.builds(TargetEpochRecord, texts, strategies.none() | target_epochs),
    strategies.builds(TargetRecord, texts, texts, strategies.none() | partitions),
    strategies.builds(StandingRecord, texts, texts, strategies.none() | standings),
    strategies.builds(RegexRecord, texts, texts, strategies.none() | results),
)


@UNHURRIED
@given(records)
def test_a_record_is_read_as_it_was_written(record: ConsumerGroupRecord) -> None:
    assert decode(encode_key(record), encode_value(record)) == record


@UNHURRIED
@given(records, strategies.data())
def test_a_value_cut_short_is_refused(record: ConsumerGroupRecord, data: strategies.DataObject) -> None:
    value = encode_value(record)
    if value is not None and not isinstance(record, TopicMetadataRecord):
        cut = data.draw(strategies.integers(0, len(value) - 1))
        with pytest.raises(ValueError):
            decode(encode_key(record), value[:cut])


@UNHURRIED
@given(records, strategies.data())
def test_what_is_damaged_is_read_or_refused_with_nothing_but_a_value_error(
    record: ConsumerGroupRecord, data: strategies.DataObject
) -> None:
    key, value = encode_key(record), encode_value(record) or b"\0\0"
    damaged = [_damaged(each, data) for each in (key[2:], value[2:])]

    with contextlib.suppress(ValueError):
        assert isinstance(decode(key[:2] + damaged[0], value[:2] + damaged[1]), type(record))


def _damaged(content: bytes, data: strategies.DataObject) -> bytes:
    """Other bytes in place of some."""
    start = data.draw(strategies.integers(0, len(content)))
    end = data.draw(strategies.integers(start, min(len(content), start + 4)))
    return content[:start] + data.draw(strategies.binary(max_size=4)) + content[end:]


def test_a_key_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="type 2"):
        decode(b"\0\2\0\1g", b"\0\0")


def test_a_member_without_a_word_about_protocols_is_none_of_the_classic_protocol() -> None:
    """Kafka writes even that there are none; before classic members came it wrote nothing."""
    key, value = (
        encode_key(SubscriptionRecord("g", "m", None)),
        encode_value(SubscriptionRecord("g", "m", Subscription())),
    )
    assert value is not None
    assert value.endswith(b"\1\0\1\0")

    assert decode(key, value) == decode(key, value[:-4] + b"\0") == SubscriptionRecord("g", "m", Subscription())


def test_fields_of_a_later_release_are_passed_over() -> None:
    key = encode_key(GroupEpochRecord("g", None))

    record = decode(key, b"\0\0" + b"\0\0\0\5" + b"\2" + b"\0\10" + b"\0" * 7 + b"\3" + b"\1\2??")

    assert record == GroupEpochRecord("g", GroupEpoch(5, 3))


def test_partitions_without_epochs_count_from_the_members_epoch() -> None:
    """Kafka before 4.3 wrote none."""
    topic = UUID(int=7)
    value = b"\0\0" + b"\0\0\0\5" + b"\0\0\0\4" + b"\0" + b"\2" + topic.bytes + b"\2\0\0\0\1" + b"\0" + b"\1" + b"\0"

    record = decode(encode_key(StandingRecord("g", "m", None)), value)

    assert record == StandingRecord("g", "m", Standing(5, 4, MemberState.STABLE, {topic: {1: 5}}))


def test_a_state_of_a_later_release_is_unknown() -> None:
    value = b"\0\0" + b"\0\0\0\5" + b"\0\0\0\4" + b"\11" + b"\1" + b"\1" + b"\0"

    record = decode(encode_key(StandingRecord("g", "m", None)), value)

    assert isinstance(record, StandingRecord)
    assert record.value is not None
    assert record.value.state is MemberState.UNKNOWN
