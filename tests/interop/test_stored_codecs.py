"""What lies on disk is in the codec that was asked for: a client must not fall back to none without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kafka
import pytest
from interop.clients import AioKafka
from interop.every_client import Client, every_client
from interop.messages import CODECS, contents, numbered
from kafka.protocol.api_key import ApiKey
from ottla.protocol.records import Codec, iter_headers
from support.apache_kafka import ApacheKafka
from support.broker import BrokerProcess
from support.log_content import batches_in

pytestmark = pytest.mark.interop

MakeTopic = Callable[..., str]

# The least and the most that Kafka allows, and gzip's and lz4's own defaults.
LEVELS = {"gzip": ("-1", "1", "9"), "lz4": ("1", "9", "17"), "zstd": ("-131072", "22")}


@pytest.fixture
def logs(broker: object) -> Path:
    """Where the broker that is in use keeps its partitions; what it has acknowledged is there to be read."""
    if not isinstance(broker, BrokerProcess | ApacheKafka):
        pytest.skip("this test looks into the broker's directory, and was given a broker without one")
    return broker.log_directory


@pytest.mark.parametrize("codec", CODECS)
@every_client
def test_a_client_uses_the_codec_that_it_is_told(
    client: Client, codec: str, bootstrap: str, make_topic: MakeTopic, logs: Path
) -> None:
    if codec == "lz4" and client.name in ("confluent-kafka", "kcat") and not advertises_groups(bootstrap):
        pytest.skip("librdkafka writes LZ4 only to brokers that advertise FindCoordinator")
    topic = make_topic(word=f"{client.name} {codec}")
    client.produce(bootstrap, topic, numbered(50), codec=codec)
    assert stored_codecs(logs / f"{topic}-0") == {codec}


@pytest.mark.parametrize(("codec", "level"), [(codec, level) for codec, levels in LEVELS.items() for level in levels])
def test_a_topic_uses_the_codec_that_it_is_told_at_every_level(
    codec: str, level: str, bootstrap: str, make_topic: MakeTopic, logs: Path
) -> None:
    sent = numbered(50)
    topic = make_topic(config={"compression.type": codec, f"compression.{codec}.level": level})
    AioKafka().produce(bootstrap, topic, sent)
    assert stored_codecs(logs / f"{topic}-0") == {codec}
    assert contents(AioKafka().read(bootstrap, topic, count=len(sent))) == contents(sent)


def stored_codecs(folder: Path) -> set[str]:
    """Of all batches of a partition."""
    segments = [batches_in(file) for file in folder.glob("*.log")]
    return {Codec(header.codec).name.lower() for segment in segments for _, header in iter_headers(segment)}


def advertises_groups(bootstrap: str) -> bool:
    admin = kafka.KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        return ApiKey.FindCoordinator in admin.api_versions()
    finally:
        admin.close()
