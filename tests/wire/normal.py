"""What may differ between Apache Kafka's answer and ours, by name; everything else is compared as it is.

A response is made *normal* before it is compared:

- `topic_id`: the topic's name in its place ("#id of orders"), as learnt from answers that carry both; an id
  the scenario made up stays as it is.  `producer_id`, `session_id`: numbered in the order a scenario meets them.
- `cluster_id`, the port, the log directory, disk sizes: "#cluster id" and so on, when they are what the broker
  under test really has.
- ApiVersions: an API we do not have yet is not missed (VERSIONS are the ones we must have); one we have must be
  advertised as theirs is.  So are the FEATURES that we have; how often they changed is "#some".
- offsets in the metadata log: "#some", if there are any.
- addresses in setting values: "#address"; that of the controller's listener, which we have not, is left out.
- `documentation` of a setting: "#documentation", if there is any; the words are our own.
- random UUIDs in texts (member ids): numbered in the order a scenario meets them.
- times within four hours of the run: "#now", also inside messages.
- record batches are taken apart; a step noted `recompressed` is compared without sizes.
- error -1, UNKNOWN_SERVER_ERROR, is what Apache Kafka answers when it trips over its input: any refusal of ours
  will do there, whatever stands beside it.
- lists whose order Apache Kafka takes from a hash map are sorted (UNORDERED).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from support.handmade import OVERHEAD_BYTES, read_batches
from support.schema import JSON, ZERO_UUID
from support.wire import VERSIONS, Api

NEAR_MS = 4 * 3_600_000
UNKNOWN_SERVER_ERROR = -1
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHORT_UUID = re.compile(r"[A-Za-z0-9_-]{22}")

# Response lists in hash order, and what to sort them by.
UNORDERED: dict[tuple[Api, str], tuple[str, ...]] = {
    (Api.DELETE_TOPICS, "responses"): ("name", "topic_id"),  # shuffled on purpose
    (Api.METADATA, "topics"): ("name", "topic_id"),
    (Api.PRODUCE, "responses"): ("name", "topic_id"),
    (Api.PRODUCE, "partition_responses"): ("index",),
    (Api.FETCH, "responses"): ("topic", "topic_id"),
    (Api.FETCH, "partitions"): ("partition_index",),
    (Api.LIST_OFFSETS, "partitions"): ("partition_index",),
    (Api.CREATE_PARTITIONS, "results"): ("name",),
    (Api.DELETE_RECORDS, "partitions"): ("partition_index",),
    (Api.DESCRIBE_LOG_DIRS, "topics"): ("name",),
    (Api.DESCRIBE_LOG_DIRS, "partitions"): ("partition_index",),
    (Api.DESCRIBE_CONFIGS, "configs"): ("name",),
    (Api.ADD_PARTITIONS_TO_TXN, "results_by_topic_v3_and_below"): ("name",),
    (Api.ADD_PARTITIONS_TO_TXN, "topic_results"): ("name",),
    (Api.ADD_PARTITIONS_TO_TXN, "results_by_partition"): ("partition_index",),
    (Api.TXN_OFFSET_COMMIT, "topics"): ("name",),
    (Api.TXN_OFFSET_COMMIT, "partitions"): ("partition_index",),
    (Api.WRITE_TXN_MARKERS, "topics"): ("name",),
    (Api.DESCRIBE_TRANSACTIONS, "topics"): ("topic",),
    (Api.LIST_TRANSACTIONS, "transaction_states"): ("transactional_id",),
    (Api.DESCRIBE_PRODUCERS, "active_producers"): ("producer_id",),
    (Api.OFFSET_FETCH, "topics"): ("name", "topic_id"),
    (Api.OFFSET_FETCH, "partitions"): ("partition_index",),
    (Api.JOIN_GROUP, "members"): ("member_id",),
    (Api.DESCRIBE_GROUPS, "members"): ("member_id",),
    (Api.LIST_GROUPS, "groups"): ("group_id",),
    (Api.DESCRIBE_GROUPS, "groups"): ("group_id",),
    (Api.DELETE_GROUPS, "results"): ("group_id",),
    (Api.ELECT_LEADERS, "replica_election_results"): ("topic",),
    (Api.ALTER_REPLICA_LOG_DIRS, "results"): ("topic_name",),
    (Api.ALTER_REPLICA_LOG_DIRS, "partitions"): ("partition_index",),
    (Api.DESCRIBE_CLIENT_QUOTAS, "entries"): ("entity",),
    (Api.DESCRIBE_CLIENT_QUOTAS, "entity"): ("entity_type",),
    (Api.DESCRIBE_CLIENT_QUOTAS, "values"): ("key",),
    (Api.ALTER_CLIENT_QUOTAS, "entries"): ("entity",),
    (Api.ALTER_CLIENT_QUOTAS, "entity"): ("entity_type",),
    (Api.CONSUMER_GROUP_HEARTBEAT, "topic_partitions"): ("topic_id",),
    (Api.CONSUMER_GROUP_DESCRIBE, "groups"): ("group_id",),
    (Api.CONSUMER_GROUP_DESCRIBE, "members"): ("member_id",),
    (Api.CONSUMER_GROUP_DESCRIBE, "topic_partitions"): ("topic_name",),
    (Api.LIST_CONFIG_RESOURCES, "config_resources"): ("resource_type", "resource_name"),
}
FEATURES = ("group.version", "metadata.version", "transaction.version")


@dataclass(slots=True)
class Normal:
    """The facts of one broker's run, and what it has taught about ids so far."""

    port: int
    log_directory: str
    now_ms: int
    cluster_id: str | None
    _names: dict[str, str] = field(default_factory=dict)
    _numbers: dict[tuple[str, int | str], int] = field(default_factory=dict)

    def begin(self) -> None:
        """A new scenario: numbering starts again."""
        self._numbers.clear()

    def response(self, api: Api | None, message: JSON, *, request: bytes, notes: frozenset[str]) -> JSON:
        if api == Api.API_VERSIONS:
            return _advertised(message)
        self._learn(message)
        return self._value("", message, api, request, notes)

    def _learn(self, value: JSON) -> None:
        if isinstance(value, list):
            for each in value:
                self._learn(each)
        if isinstance(value, dict):
            if value.get("topic_id", ZERO_UUID) != ZERO_UUID and value.get("name"):
                self._names[value["topic_id"]] = value["name"]
            for each in value.values():
                self._learn(each)

    def _value(self, name: str, value: JSON, api: Api | None, request: bytes, notes: frozenset[str]) -> JSON:
        if isinstance(value, dict):
            return {key: self._value(key, each, api, request, notes) for key, each in value.items()}
        if isinstance(value, list):
            listed = [self._value(name, each, api, request, notes) for each in value]
            order = UNORDERED.get((api, name)) if api is not None else None
            return sorted(listed, key=lambda each: [str(each.get(key)) for key in order]) if order else listed
        if name == "records" and isinstance(value, bytes):
            return self._records(value, notes)
        if name == "topic_id":
            return self._topic_id(value, request)
        if name in ("producer_id", "session_id"):
            return value if (value <= 0 and name == "session_id") or value < 0 else self._number(name, value)
        if name == "documentation":
            return "#documentation" if value else value
        if isinstance(value, str):
            return self._text(name, value)
        if api == Api.DESCRIBE_QUORUM and name in ("high_watermark", "log_end_offset"):
            return "#some" if value > 0 else value
        if isinstance(value, int) and not isinstance(value, bool):
            return self._integer(name, value)
        return value.hex() if isinstance(value, bytes) else value

    def _topic_id(self, value: str, request: bytes) -> str:
        if value in self._names:
            return f"#id of {self._names[value]}"
        return value if value == ZERO_UUID or bytes.fromhex(value) in request else "#some id"

    def _number(self, name: str, value: int | str) -> str:
        known = [key for key in self._numbers if key[0] == name]
        return f"#{name} {self._numbers.setdefault((name, value), len(known) + 1)}"

    def _text(self, name: str, value: str) -> str:
        if name == "cluster_id":
            return "#cluster id"
        if name == "member_id" and _SHORT_UUID.fullmatch(value):
            return self._number("uuid", value)
        value = value.replace(self.log_directory, "#log directory")
        value = _UUID.sub(lambda found: self._number("uuid", found[0]), value)
        value = re.sub(r"(?<=@|/)127\.0\.0\.1:\d+", "#address", value).replace(",CONTROLLER://#address", "")
        return re.sub(r"\d{13}", lambda found: str(self._integer("", int(found[0]))), value)

    def _integer(self, name: str, value: int) -> JSON:
        if name == "port":
            return "#port" if value == self.port else value
        if name in ("total_bytes", "usable_bytes"):
            return "#disk" if value > 0 else value
        return "#now" if abs(value - self.now_ms) < NEAR_MS else value

    def _records(self, data: bytes, notes: frozenset[str]) -> JSON:
        found, rest = read_batches(data)
        taken = []
        for batch in found:
            read = asdict(batch)
            if "recompressed" in notes:
                read.pop("size")
            taken.append(self._value("", read, None, b"", notes))
        return {
            "batches": taken,
            "cut short": None if not rest else f"{len(rest)} bytes" if len(rest) > OVERHEAD_BYTES else rest.hex(),
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """`golden` is what Apache Kafka said, `ours` what the broker under test said."""

    family: str
    scenario: str
    step: str
    path: str
    golden: JSON
    ours: JSON

    @property
    def name(self) -> tuple[str, str, str, str]:
        return self.family, self.scenario, self.step, self.path

    def __str__(self) -> str:
        return f"{self.family} / {self.scenario} / {self.step}: {self.path}: {self.golden!r} became {self.ours!r}"


def compare(golden: JSON, ours: JSON, path: str = "") -> Iterator[tuple[str, JSON, JSON]]:
    """Where two normal values part: (path, golden, ours)."""
    if isinstance(golden, dict) and isinstance(ours, dict):
        golden, ours = _tripped(golden, ours)
        for name in [*golden, *(extra for extra in ours if extra not in golden)]:
            where = f"{path}.{name}" if path else name
            if name not in ours and _is_not_ours_yet(where):
                continue
            if name not in golden or name not in ours:
                yield where, golden.get(name, "(absent)"), ours.get(name, "(absent)")
            else:
                yield from compare(golden[name], ours[name], where)
    elif isinstance(golden, list) and isinstance(ours, list) and len(golden) == len(ours):
        for at, (theirs, mine) in enumerate(zip(golden, ours, strict=True)):
            yield from compare(theirs, mine, f"{path}.{at}")
    elif golden != ours:
        yield path, golden, ours


def _advertised(message: dict[str, JSON]) -> JSON:
    kept = dict(message)
    for name in {"supported_features", "finalized_features"} & message.keys():
        features = {each.pop("name"): each for each in map(dict, message[name])}
        kept[name] = {name: features[name] for name in FEATURES if name in features}
    if "finalized_features_epoch" in kept:
        kept["finalized_features_epoch"] = "#some" if kept["finalized_features_epoch"] > 0 else "#none"
    listed = {each["api_key"]: (each["min_version"], each["max_version"]) for each in message["api_keys"]}
    assert list(listed) == sorted(listed), "keys are in order"
    return kept | {"api_keys": {str(key): list(versions) for key, versions in listed.items()}}


def _is_not_ours_yet(path: str) -> bool:
    """`api_keys.11` and the like."""
    name, _, key = path.rpartition(".")
    return name == "api_keys" and int(key) not in VERSIONS


def _tripped(golden: dict[str, JSON], ours: dict[str, JSON]) -> tuple[dict[str, JSON], dict[str, JSON]]:
    if golden.get("error_code") != UNKNOWN_SERVER_ERROR or ours.get("error_code") == 0:
        return golden, ours
    return {"error_code": "#refused"}, {"error_code": "#refused"}
