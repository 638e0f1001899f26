"""Apache Kafka answers an administrator when its controller has decided; its broker takes notice a moment later.

Between two steps a recording waits until the broker has: every partition named in the step has a leader that
answers, or is gone.  Our own broker must need nothing of this, but for one thing it shares with Apache Kafka:
a topic that Metadata creates comes to be behind the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from support.scenarios import Exchange, may_create_topics
from support.schema import JSON
from support.wire import Api, Connection

ALTERS = {Api.CREATE_TOPICS, Api.DELETE_TOPICS, Api.CREATE_PARTITIONS, Api.ALTER_CONFIGS, Api.INCREMENTAL_ALTER_CONFIGS}
PAUSE_S, POLL_S, PATIENCE_S = 0.3, 0.05, 30.0
CREATION_S = 2.0
WITHOUT_NAMES = {Api.ALTER_CLIENT_QUOTAS, Api.UPDATE_FEATURES}

UNKNOWN_TOPIC_OR_PARTITION = 3


def let_kafka_take_notice(port: int, exchange: Exchange) -> None:
    """After a step that changed something: a pause (settings), then until the partitions are as decided."""
    step = exchange.step
    if step.api == Api.METADATA and may_create_topics(step):
        time.sleep(PAUSE_S)
        let_creation_pass(port, exchange)
        return
    if step.api in WITHOUT_NAMES:
        time.sleep(PAUSE_S)
        return
    done = _names_done(exchange.decoded()) if step.api in ALTERS else []
    if not done or (step.fields or {}).get("validate_only"):
        return
    time.sleep(PAUSE_S)
    if step.api in (Api.CREATE_TOPICS, Api.CREATE_PARTITIONS):
        _until_led(port, done)
    elif step.api == Api.DELETE_TOPICS:
        _until(lambda: all(each["error_code"] for each in _metadata(port, done)))


def let_creation_pass(port: int, exchange: Exchange) -> None:
    """Until the topics that a Metadata request may create are there; a while, since some are refused in silence."""
    if not may_create_topics(exchange.step):
        return
    names = [each["name"] for each in (exchange.step.fields or {})["topics"]]
    deadline = time.monotonic() + CREATION_S
    while time.monotonic() < deadline:
        found = _metadata(port, names)
        if all(each["error_code"] != UNKNOWN_TOPIC_OR_PARTITION for each in found):
            return
        time.sleep(POLL_S / 5)


def _names_done(said: JSON) -> list[str]:
    listed = [each for value in (said or {}).values() if isinstance(value, list) for each in value]
    return [each.get("name") or each["resource_name"] for each in listed if each.get("error_code") == 0]


def _until_led(port: int, names: list[str]) -> None:
    _until(lambda: all(_is_led(port, topic) for topic in _metadata(port, names)))


def _is_led(port: int, topic: JSON) -> bool:
    partitions = [{"partition_index": each["partition_index"], "timestamp": -1} for each in topic["partitions"]]
    if topic["error_code"] or not partitions:
        return False
    with Connection(port) as connection:
        said = connection.call(
            Api.LIST_OFFSETS,
            1,
            replica_id=-1,
            topics=[{"name": topic["name"], "partitions": partitions}],
        )
    return all(each["error_code"] == 0 for each in said["topics"][0]["partitions"])


def _metadata(port: int, names: list[str]) -> list[JSON]:
    topics = [{"name": name} for name in names]
    with Connection(port) as connection:
        found: list[JSON] = connection.call(Api.METADATA, 4, topics=topics, allow_auto_topic_creation=False)["topics"]
    return found


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "Apache Kafka did not take notice"
        time.sleep(POLL_S)
