"""From a file, the environment, --set and flags to one configuration, or to one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest
from ottla.broker.config_loading import ConfigError, Given, LoadedConfig, load_config

# What Kafka ships as config/server.properties, shortened to its settings.
KAFKAS_OWN_FILE = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
num.network.threads=3
num.io.threads=8
log.dirs=/var/lib/kafka
num.partitions=1
offsets.topic.replication.factor=1
log.retention.hours=168
log.segment.bytes=1073741824
"""


def load(
    *,
    file: Path | None = None,
    environ: dict[str, str] | None = None,
    sets: tuple[str, ...] = (),
    flags: dict[str, str] | None = None,
) -> LoadedConfig:
    given = {name: Given(name, text, "--flag") for name, text in (flags or {}).items()}
    return load_config(file=file, environ=environ or {}, sets=sets, flags=given)


def properties(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "server.properties"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_server_properties_of_kafka_starts_us(tmp_path: Path) -> None:
    loaded = load(file=properties(tmp_path, KAFKAS_OWN_FILE))

    assert str(loaded.config.data_directory) == "/var/lib/kafka"
    assert [str(listener) for listener in loaded.config.listeners] == ["PLAINTEXT://:9092"]
    assert loaded.without_effect == (
        "controller.quorum.bootstrap.servers",
        "inter.broker.listener.name",
        "num.io.threads",
        "num.network.threads",
        "process.roles",
    )


def test_a_flag_goes_before_set_before_the_environment_before_the_file(tmp_path: Path) -> None:
    file = properties(tmp_path, "num.partitions=1\nfetch.max.bytes=2001\nbroker.rack=file\nnode.id=4\n")
    environ = {"OTTLA_NUM_PARTITIONS": "2", "OTTLA_FETCH_MAX_BYTES": "2002", "OTTLA_BROKER_RACK": "env"}

    config = load(
        file=file,
        environ=environ,
        sets=("num.partitions=3", "fetch.max.bytes=2003"),
        flags={"num.partitions": "4"},
    ).config

    assert config.whole("num.partitions") == 4
    assert config.whole("fetch.max.bytes") == 2003
    assert config.text("broker.rack") == "env"
    assert config.node_id == 4


def test_the_last_of_two_sets_counts() -> None:
    assert load(sets=("num.partitions=3", "num.partitions=5")).config.whole("num.partitions") == 5


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load(sets=("broker.rack=a=b",)).config.text("broker.rack") == "a=b"


@pytest.mark.parametrize(
    ("sets", "line"),
    [
        (
            ("num.partitions=abc",),
            "--set: Invalid value abc for configuration num.partitions: Not a number of type INT",
        ),
        (
            ("num.partition=4",),
            "--set: num.partition is not a setting of Kafka or Ottla; did you mean num.partitions?",
        ),
        (("zookeeper.connect=x",), "--set: zookeeper.connect is not a setting of Kafka or Ottla"),
        (("num.partitions",), "--set num.partitions: write it as --set KEY=VALUE"),
        (("=4",), "--set =4: write it as --set KEY=VALUE"),
        (
            ("node.id=1", "broker.id=2"),
            "You must set `node.id` to the same value as `broker.id`.",
        ),
        (
            ("num.io.threads=0",),
            "--set: Invalid value 0 for configuration num.io.threads: Value must be at least 1",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(sets: tuple[str, ...], line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(sets=sets)

    assert str(raised.value) == line


def test_a_mistake_in_the_file_names_the_file_and_the_line(tmp_path: Path) -> None:
    file = properties(tmp_path, "# all mine\nnum.partitions=4\nlog.retention.hours=soon\n")

    with pytest.raises(ConfigError) as raised:
        load(file=file)

    assert str(raised.value).startswith(f"{file}, line 3: Invalid value soon")


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfigError, match=r"^OTTLA_NUM_PARTITIONS: Invalid value"):
        load(environ={"OTTLA_NUM_PARTITIONS": "x"})


def test_variables_that_kubernetes_sets_for_a_service_of_our_name_do_no_harm() -> None:
    load(environ={"OTTLA_PORT": "tcp://10.0.0.1:9092", "OTTLA_SERVICE_HOST": "10.0.0.1"})


def test_settings_of_kafkas_listeners_and_plugins_are_accepted_without_effect() -> None:
    names = ("listener.name.internal.ssl.keystore.location", "rlmm.config.x.y", "rsm.config.chunk.size")

    assert load(sets=tuple(f"{name}=1" for name in names)).without_effect == names


def test_a_file_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^cannot read .*absent.properties: No such file or directory"):
        load(file=tmp_path / "absent.properties")


def test_a_file_that_is_not_text_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        load(file=file)
