from ottla.broker.config import BrokerConfig
from ottla.broker.internal_topics import codec_of_offsets, internal_topic
from ottla.broker.topic_names import CONSUMER_OFFSETS
from ottla.protocol.compression import Codec


def test_the_topic_of_offsets_is_kafka_s_compacted_with_50_partitions() -> None:
    topic = internal_topic(CONSUMER_OFFSETS, BrokerConfig(), node_count=3)
    assert (topic.name, topic.partition_count, topic.replication_factor) == ("__consumer_offsets", 50, 3)
    assert dict(topic.configs) == {
        "cleanup.policy": "compact",
        "compression.type": "producer",
        "segment.bytes": "104857600",
    }


def test_it_has_no_more_replicas_than_there_are_nodes() -> None:
    assert internal_topic(CONSUMER_OFFSETS, BrokerConfig(), node_count=1).replication_factor == 1


def test_it_is_made_as_the_configuration_says() -> None:
    config = BrokerConfig(
        {
            "offsets.topic.num.partitions": "3",
            "offsets.topic.segment.bytes": "1048576",
            "offsets.topic.compression.codec": "2",
        }
    )
    topic = internal_topic(CONSUMER_OFFSETS, config, node_count=1)
    assert topic.partition_count == 3
    assert dict(topic.configs)["segment.bytes"] == "1048576"
    assert codec_of_offsets(config) is Codec.SNAPPY
