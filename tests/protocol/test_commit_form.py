"""The form of an OffsetCommit: its next requests are known by it, whatever their numbers, and nothing else is."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.apis import ApiKey
from ottla.protocol.commit_form import OLDEST, CommitForm
from ottla.protocol.messages import (
    Message,
    decode_request,
    decode_request_header,
    encode_request,
    encode_request_header,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
VERSIONS = st.integers(OLDEST, 10)
OFFSETS = st.integers(-(2**63), 2**63 - 1)
EPOCHS = st.integers(-(2**31), 2**31 - 1)
PARTITIONS = st.builds(
    lambda *values: Message(
        **dict(
            zip(
                ("partition_index", "committed_offset", "committed_leader_epoch", "committed_metadata"),
                values,
                strict=True,
            )
        )
    ),
    st.integers(-1, 2**31 - 1),
    OFFSETS,
    EPOCHS,
    st.none() | TEXT,
)
TOPICS = st.builds(
    lambda name, topic_id, partitions: Message(name=name, topic_id=topic_id, partitions=partitions),
    TEXT,
    st.uuids() | st.just(UUID(int=2**128 - 1)),
    st.lists(PARTITIONS, max_size=4),
)
REQUESTS = st.builds(
    lambda group, generation, member, instance, topics: Message(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member,
        group_instance_id=instance,
        topics=topics,
    ),
    TEXT,
    st.integers(-1, 2**31 - 1),
    TEXT,
    st.none() | TEXT,
    st.lists(TOPICS, max_size=3),
)


def frame_of(request: Message, version: int, correlation_id: int = 1, client: str | None = "c") -> bytes:
    said = Message(**vars(request))
    if version < 7:
        said.group_instance_id = None
    header = encode_request_header(ApiKey.OFFSET_COMMIT, version, correlation_id, client)
    return header + encode_request(ApiKey.OFFSET_COMMIT, version, said)


def form_of(frame: bytes) -> CommitForm | None:
    header = decode_request_header(frame)
    request = decode_request(ApiKey.OFFSET_COMMIT, header.api_version, frame[header.body_position :])
    return CommitForm.of(frame, header, request)


def with_numbers(request: Message, offset: int, epoch: int) -> Message:
    """Partition n has the offset n behind the first."""
    changed, count = Message(**vars(request), retention_time_ms=-1), 0
    changed.topics = []
    for topic in request.topics:
        partitions = []
        for each in topic.partitions:
            numbers = {"committed_offset": offset + count, "committed_leader_epoch": epoch}
            partitions.append(Message(**{**vars(each), **numbers}))
            count += 1
        changed.topics.append(Message(**{**vars(topic), "partitions": partitions}))
    return changed


@given(REQUESTS, VERSIONS, EPOCHS, st.integers(0, 2**62), EPOCHS)
def test_what_differs_in_its_numbers_alone_has_the_form_and_they_are_read(
    request: Message, version: int, correlation_id: int, offset: int, epoch: int
) -> None:
    form = form_of(frame_of(request, version))
    assert form is not None

    values = form.read(memoryview(frame_of(with_numbers(request, offset, epoch), version, correlation_id)))

    count = sum(len(topic.partitions) for topic in request.topics)
    assert values is not None
    assert values[1] == correlation_id
    assert values[3::3] == tuple(range(offset, offset + count))
    assert values[4::3] == (epoch,) * count


@given(REQUESTS, REQUESTS, VERSIONS, VERSIONS, st.sampled_from(["c", "d", None]))
def test_what_differs_in_anything_else_has_another_form(
    request: Message, other: Message, version: int, other_version: int, client: str | None
) -> None:
    form = form_of(frame_of(with_numbers(request, 0, 0), version))
    frame = frame_of(with_numbers(other, 0, 0), other_version, client=client)
    assert form is not None

    assert (form.read(frame) is not None) == (frame == frame_of(with_numbers(request, 0, 0), version))


@given(REQUESTS, VERSIONS, st.data())
def test_a_byte_that_is_not_of_a_number_tells_forms_apart(request: Message, version: int, data: st.DataObject) -> None:
    frame = frame_of(request, version)
    form = form_of(frame)
    assert form is not None
    place = data.draw(st.integers(0, len(frame) - 1))
    changed = bytearray(frame)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))

    values, before = form.read(changed), form.read(frame)

    assert before is not None
    assert values is None or (values[0], values[2::3]) == (before[0], before[2::3])
    assert values is None or values != before


def test_a_frame_that_is_cut_short_or_longer_has_another_form() -> None:
    partition = Message(partition_index=0, committed_offset=1, committed_leader_epoch=-1, committed_metadata="")
    topic = Message(name="t", topic_id=UUID(int=0), partitions=[partition])
    request = Message(
        group_id="g", generation_id_or_member_epoch=-1, member_id="", group_instance_id=None, topics=[topic]
    )
    frame = frame_of(request, 9)
    form = form_of(frame)
    assert form is not None
    assert form.read(frame) is not None
    assert [form.read(frame[:end]) for end in range(len(frame))] == [None] * len(frame)
    assert form.read(frame + b"\0") is None


def test_a_request_with_tagged_fields_or_of_an_old_version_has_no_form() -> None:
    request = Message(group_id="g", generation_id_or_member_epoch=-1, member_id="", group_instance_id=None, topics=[])
    frame = frame_of(request, 9)
    assert form_of(frame[:-1] + b"\1\x05\1x") is None
    assert form_of(frame_of(request, OLDEST - 1)) is None
