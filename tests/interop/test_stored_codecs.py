"""What lies on disk is in the codec that was asked for: a client must not fall back to none without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kafka
import pytest
from interop.clients import AioKafka
from interop.every_client import Client, every_client
from interop.messages import CODECS, contents, numbered
from interop.topics import create_topic
from kafka.protocol.api_key import ApiKey
from ottla.protocol.records import Codec, iter_headers
from support.apache_kafka import ApacheKafka
from support.broker import BrokerProcess

pytestmark = pytest.mark.interop

Broker = BrokerProcess | ApacheKafka
OwnBroker = Callable[..., Broker]

# The least and the most that Kafka allows, and gzip's and lz4's own defaults.
LEVELS = {"gzip": ("-1", "1", "9"), "lz4": ("1", "9", "17"), "zstd": ("-131072", "22")}


@every_client
def test_each_codec_that_a_client_is_told_to_use_is_what_it_uses(client: Client, own_broker: OwnBroker) -> None:
    broker = own_broker()
    for codec in CODECS:
        client.produce(broker.bootstrap, codec, numbered(50), codec=codec)
    expected = {codec: {codec} for codec in CODECS}
    if client.name in ("confluent-kafka", "kcat") and not advertises_groups(broker.bootstrap):
        expected["lz4"] = {"none"}  # librdkafka takes LZ4 and FindCoordinator to have come with one Kafka version
    broker.stop()
    assert {codec: stored_codecs(broker.log_directory / f"{codec}-0") for codec in CODECS} == expected


def test_each_codec_that_a_topic_is_told_to_use_is_what_it_uses_at_every_level(own_broker: OwnBroker) -> None:
    broker = own_broker()
    sent = numbered(50)
    topics = [(codec, f"{codec}{level}", level) for codec, levels in LEVELS.items() for level in levels]
    for codec, topic, level in topics:
        config = {"compression.type": codec, f"compression.{codec}.level": level}
        create_topic(broker.bootstrap, topic, config=config)
        AioKafka().produce(broker.bootstrap, topic, sent)
        assert contents(AioKafka().read(broker.bootstrap, topic, count=len(sent))) == contents(sent)
    broker.stop()
    stored = {topic: stored_codecs(broker.log_directory / f"{topic}-0") for _, topic, _ in topics}
    assert stored == {topic: {codec} for codec, topic, _ in topics}


def stored_codecs(folder: Path) -> set[str]:
    """Of all batches of a partition."""
    logs = [file.read_bytes() for file in folder.glob("*.log")]
    return {Codec(header.codec).name.lower() for log in logs for _, header in iter_headers(log)}


def advertises_groups(bootstrap: str) -> bool:
    admin = kafka.KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        return ApiKey.FindCoordinator in admin.api_versions()
    finally:
        admin.close()
