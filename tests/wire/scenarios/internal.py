"""The broker's own topics, and a session cache without room."""

from support.handmade import records
from support.scenarios import Batch, Family, Scenario, call
from support.wire import Api
from wire.scenarios.cluster import ask, named, partitions
from wire.scenarios.configs import SET, TOPIC, alter, change, describe, resource
from wire.scenarios.topics import delete, forget, grow
from wire.shapes import create, create_and_keep_id, fetch, fetch_fields, fetch_partition, metadata, produce, topic

OFFSETS = "__consumer_offsets"

INTERNAL = [
    Scenario(
        "an internal topic",
        [
            metadata("not there", OFFSETS),
            create("only validated", topic(OFFSETS, 2), validate_only=True),
            create("by hand", topic(OFFSETS, 2, configs={"cleanup.policy": "compact"})),
            ask("in v1", 1, named(OFFSETS)),
            metadata("there", OFFSETS),
            partitions("there", OFFSETS),
            partitions("all"),
            produce("into it", OFFSETS, Batch(records(b"v", keys=[b"k"]))),
            produce("into it, in v9", OFFSETS, Batch(records(b"v", keys=[b"k"])), version=9),
            produce("into it, acks 1", OFFSETS, Batch(records(b"v", keys=[b"k"])), acks=1),
            fetch("from it", OFFSETS, fetch_partition()),
            forget("its records", OFFSETS, (0, 0)),
            forget("its records, partition out of range", OFFSETS, (7, 0)),
            describe("its settings", resource(TOPIC, OFFSETS, "cleanup.policy", "retention.ms")),
            alter("its settings", change(TOPIC, OFFSETS, ("retention.ms", SET, "1000"))),
            grow("more partitions", OFFSETS, 3),
            delete("delete it", OFFSETS),
            metadata("gone", OFFSETS),
        ],
    ),
    Scenario(
        "names that only look internal",
        [
            create("set up", topic("__mine"), topic("_schemas")),
            metadata("not internal", "__mine", "_schemas"),
            produce("into it", "__mine", Batch()),
        ],
    ),
]

NO_CACHE = [
    Scenario(
        "no room for a session",
        [
            create_and_keep_id("f", 2),
            fetch("asked for", "f", fetch_partition(), session_id=0, session_epoch=0),
            fetch("asked for again", "f", fetch_partition(), fetch_partition(1), session_id=0, session_epoch=0),
            call(Api.FETCH, 12, "go on with none", **fetch_fields(12, session_id=77, session_epoch=1)),
        ],
    ),
]

FAMILIES = [
    Family("internal_topics", INTERNAL),
    Family("fetch_session_cache", NO_CACHE, {"max.incremental.fetch.session.cache.slots": "0"}),
]
