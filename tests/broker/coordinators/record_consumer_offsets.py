"""Have Apache Kafka 4.3.1 write `__consumer_offsets`, and keep the bytes of its log in `golden_consumer_offsets.hex`.

    python tests/broker/coordinators/record_consumer_offsets.py

What it is asked makes every kind of record of classic groups: a new group, a generation with a static member, commits with and
without an expiry, leader epoch and metadata, an empty group, offsets deleted, a group deleted, a topic deleted.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from support.apache_kafka import ApacheKafka
from support.wire import Api, Connection

GOLDEN = Path(__file__).with_name("golden_consumer_offsets.hex")
SUBSCRIPTION = b"\0\1\0\0\0\1\0\1t\xff\xff\xff\xff"
POLL_S = 0.1
COME_AGAIN = re.compile(r"'error_code': (14|15|16)\b")


def topic(name: str) -> dict[str, Any]:
    return {"name": name, "num_partitions": 2, "replication_factor": 1, "assignments": [], "configs": []}


def offset(index: int, committed: int, metadata: str | None, epoch: int = -1) -> dict[str, Any]:
    return {
        "partition_index": index,
        "committed_offset": committed,
        "committed_leader_epoch": epoch,
        "committed_metadata": metadata,
    }


def ask(connection: Connection, api: Api, version: int, **fields: Any) -> dict[str, Any]:
    """The answer; asked again while Kafka's coordinator is not there yet."""
    while COME_AGAIN.search(str(answer := connection.call(api, version, **fields))):
        time.sleep(POLL_S)
    return answer


def play(connection: Connection) -> None:
    ask(connection, Api.CREATE_TOPICS, 7, topics=[topic("t"), topic("u")], timeout_ms=9000, validate_only=False)
    ask(connection, Api.FIND_COORDINATOR, 6, key_type=0, coordinator_keys=["g"])
    join: dict[str, Any] = {
        "group_id": "g",
        "session_timeout_ms": 10_000,
        "rebalance_timeout_ms": 20_000,
        "member_id": "",
        "group_instance_id": "instance",
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": SUBSCRIPTION}, {"name": "sticky", "metadata": b"s"}],
        "reason": None,
    }
    member_id = ask(connection, Api.JOIN_GROUP, 9, **join)["member_id"]
    member: dict[str, Any] = {"group_id": "g", "member_id": member_id, "group_instance_id": "instance"}
    protocol = {"protocol_type": "consumer", "protocol_name": "range"}
    assignments = [{"member_id": member_id, "assignment": b"everything"}]
    ask(connection, Api.SYNC_GROUP, 5, **member, **protocol, generation_id=1, assignments=assignments)
    offsets = [{"name": "t", "partitions": [offset(0, 5, "m"), offset(1, 6, None, 3)]}]
    ask(connection, Api.OFFSET_COMMIT, 9, **member, generation_id_or_member_epoch=1, topics=offsets)
    long = [{"name": "u", "partitions": [offset(0, 2**40, "ä" * 200)]}]
    ask(connection, Api.OFFSET_COMMIT, 9, **member, generation_id_or_member_epoch=1, topics=long)
    leaving = [{"member_id": member_id, "group_instance_id": "instance", "reason": None}]
    ask(connection, Api.LEAVE_GROUP, 5, group_id="g", members=leaving)
    expiring = [{"name": "t", "partitions": [{"partition_index": 0, "committed_offset": 7, "committed_metadata": "e"}]}]
    nobody: dict[str, Any] = {"group_id": "simple", "member_id": "", "generation_id_or_member_epoch": -1}
    ask(connection, Api.OFFSET_COMMIT, 2, **nobody, retention_time_ms=3_600_000, topics=expiring)
    ask(connection, Api.OFFSET_DELETE, 0, group_id="g", topics=[{"name": "u", "partitions": [{"partition_index": 0}]}])
    ask(connection, Api.DELETE_GROUPS, 2, groups_names=["g"])
    ask(connection, Api.DELETE_TOPICS, 6, topics=[{"name": "t", "topic_id": "0" * 32}], timeout_ms=9000)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        kafka = ApacheKafka(Path(directory) / "kafka", {"offsets.topic.num.partitions": "1"})
        with kafka, Connection(kafka.port) as connection:
            play(connection)
            time.sleep(2)  # a deleted topic's offsets go behind the answer
        (log,) = (kafka.log_directory / "__consumer_offsets-0").glob("*.log")
        data = log.read_bytes().hex()
    GOLDEN.write_text("\n".join(data[at : at + 120] for at in range(0, len(data), 120)) + "\n")
    print(f"{len(data) // 2} bytes")


if __name__ == "__main__":
    main()
