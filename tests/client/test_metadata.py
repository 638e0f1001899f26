"""Beliefs about the cluster: newer ones replace older ones, and a broker that lags is not believed."""

from __future__ import annotations

from uuid import UUID

from ottla.client.address import Address
from ottla.client.metadata import NO_ID, Metadata, Node, merged, with_leader
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

ID, OTHER_ID = UUID(int=1), UUID(int=2)


def partition(index: int, leader: int, epoch: int) -> Message:
    return Message(
        partition_index=index,
        leader_id=leader,
        leader_epoch=epoch,
        replica_nodes=[1, 2],
        isr_nodes=[1],
        error_code=ErrorCode.NONE,
    )


def topic(name: str, *partitions: Message, topic_id: UUID = ID, error: ErrorCode = ErrorCode.NONE) -> Message:
    return Message(name=name, topic_id=topic_id, is_internal=False, error_code=error, partitions=list(partitions))


def answer(*topics: Message) -> Message:
    brokers = [Message(node_id=each, host=f"h{each}", port=9092, rack=None) for each in (1, 2)]
    return Message(cluster_id="c", controller_id=1, brokers=brokers, topics=list(topics))


def after(*answers: Message, keep: list[str] | None = None) -> Metadata:
    belief = Metadata()
    for each in answers:
        belief = merged(belief, each, keep=keep)
    return belief


def leader(belief: Metadata, name: str = "t", index: int = 0) -> tuple[int, int]:
    known = belief.partition(name, index)
    assert known is not None
    return known.leader_id, known.leader_epoch


def test_an_answer_becomes_values() -> None:
    belief = after(answer(topic("t", partition(1, 2, 5), partition(0, -1, 5))))

    assert belief.nodes[2] == Node(2, Address("h2", 9092))
    assert list(belief.topics["t"].partitions) == [0, 1]
    assert belief.topics["t"].available == (1,)
    assert belief.topic_by_id(ID) is belief.topics["t"]
    assert belief.topic_by_id(OTHER_ID) is None
    assert belief.partition("t", 7) is None
    assert belief.partition("u", 0) is None
    assert (belief.version, belief.cluster_id, belief.controller_id) == (1, "c", 1)


def test_a_newer_leader_epoch_is_believed_and_an_older_one_is_not() -> None:
    assert leader(after(answer(topic("t", partition(0, 1, 5))), answer(topic("t", partition(0, 2, 6))))) == (2, 6)
    assert leader(after(answer(topic("t", partition(0, 1, 5))), answer(topic("t", partition(0, 2, 4))))) == (1, 5)


def test_a_topic_made_anew_begins_anew() -> None:
    again = topic("t", partition(0, 2, 0), topic_id=OTHER_ID)

    assert leader(after(answer(topic("t", partition(0, 1, 5))), answer(again))) == (2, 0)


def test_a_broker_that_knows_no_epochs_is_believed() -> None:
    told = [answer(topic("t", partition(0, each, -1), topic_id=NO_ID)) for each in (1, 2)]

    assert leader(after(*told)) == (2, -1)


def test_topics_of_which_nothing_is_said_are_kept_if_they_are_wanted() -> None:
    both = answer(topic("t", partition(0, 1, 0)), topic("u", partition(0, 1, 0)))

    assert set(after(both, answer(), keep=["t"]).topics) == {"t"}
    assert set(after(both, answer()).topics) == set()


def test_a_topic_that_is_gone_has_no_partitions() -> None:
    gone = topic("t", topic_id=NO_ID, error=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    belief = after(answer(topic("t", partition(0, 1, 5))), answer(gone), keep=["t"])

    assert belief.topics["t"].partitions == {}
    assert belief.topics["t"].error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_leader_told_in_passing_is_believed_if_it_is_news() -> None:
    belief = after(answer(topic("t", partition(0, 1, 5))))

    assert leader(with_leader(belief, "t", 0, leader_id=2, leader_epoch=6)) == (2, 6)
    assert with_leader(belief, "t", 0, leader_id=2, leader_epoch=5) is belief
    assert with_leader(belief, "t", 0, leader_id=99, leader_epoch=6) is belief
    assert with_leader(belief, "t", 1, leader_id=2, leader_epoch=6) is belief
    assert with_leader(belief, "u", 0, leader_id=2, leader_epoch=6) is belief
    assert leader(belief) == (1, 5)
