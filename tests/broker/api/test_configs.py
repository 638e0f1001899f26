"""DescribeConfigs, AlterConfigs and IncrementalAlterConfigs on a whole broker: what is set is there, and acts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from ottla.broker.api import broker_loggers
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from support.asking import Asker, with_broker

TOPIC, BROKER, LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND = 0, 1, 2


async def describe(ask: Asker, resource: int, name: str, *keys: str, version: int = 4, **flags: bool) -> Any:
    asked = Message(resource_type=resource, resource_name=name, configuration_keys=list(keys) or None)
    answer = await ask(ApiKey.DESCRIBE_CONFIGS, version, resources=[asked], **flags)
    return answer.results[0]


async def value(ask: Asker, resource: int, name: str, key: str) -> tuple[str | None, int]:
    """One config's value and source."""
    [found] = (await describe(ask, resource, name, key)).configs
    return found.value, found.config_source


async def alter(
    ask: Asker, resource: int, name: str, *changes: tuple[str, int, str | None], validate_only: bool = False
) -> tuple[str, str | None]:
    asked = Message(
        resource_type=resource,
        resource_name=name,
        configs=[Message(name=key, config_operation=operation, value=text) for key, operation, text in changes],
    )
    answer = await ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, resources=[asked], validate_only=validate_only)
    told = answer.responses[0]
    return ErrorCode(told.error_code).name, told.error_message


def test_every_setting_of_a_topic_is_described(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t", retention_ms=" 1000 ")
        answer = await describe(ask, TOPIC, "t", include_synonyms=True)
        assert len(answer.configs) == 33
        found = {each.name: each for each in answer.configs}
        assert (found["retention.ms"].value, found["retention.ms"].config_source) == ("1000", 1)
        assert [each.name for each in found["segment.bytes"].synonyms] == ["log.segment.bytes"]
        assert {each.documentation for each in answer.configs} == {None}

    with_broker(tmp_path, test)


def test_documentation_and_synonyms_come_when_asked_for(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        [plain] = (await describe(ask, TOPIC, "t", "segment.bytes")).configs
        [full] = (
            await describe(ask, TOPIC, "t", "segment.bytes", include_synonyms=True, include_documentation=True)
        ).configs
        assert (plain.synonyms, plain.documentation) == ([], None)
        assert full.synonyms
        assert full.documentation

    with_broker(tmp_path, test)


def test_names_that_a_resource_does_not_have_are_left_out(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        answer = await describe(ask, TOPIC, "t", "nope", "retention.ms", version=1)
        assert [each.name for each in answer.configs] == ["retention.ms"]

    with_broker(tmp_path, test)


@pytest.mark.parametrize(
    ("resource", "name", "code", "message"),
    [
        (TOPIC, "nope", "UNKNOWN_TOPIC_OR_PARTITION", ""),
        (TOPIC, "", "INVALID_TOPIC_EXCEPTION", "Topic name is invalid: the empty string is not allowed"),
        (
            BROKER,
            "2",
            "INVALID_REQUEST",
            "Unexpected broker id, expected 1 or empty string, but received 2",
        ),
        (BROKER, "x", "INVALID_REQUEST", "Broker id must be an integer, but it is: x"),
        (LOGGER, "", "INVALID_REQUEST", "Broker id must not be empty"),
        (LOGGER, "2", "INVALID_REQUEST", "Unexpected broker id, expected 1 but received 2"),
        (CLIENT_METRICS, "", "INVALID_REQUEST", "Client metrics subscription name must not be empty"),
        (GROUP, "", "INVALID_REQUEST", "Group name must not be empty"),
    ],
)
def test_a_resource_that_is_not_there_is_refused_in_kafkas_words(
    tmp_path: Path, resource: int, name: str, code: str, message: str
) -> None:
    async def test(ask: Asker) -> None:
        answer = await describe(ask, resource, name)
        assert (ErrorCode(answer.error_code).name, answer.error_message, answer.configs) == (code, message, [])

    with_broker(tmp_path, test)


def test_an_unknown_type_of_resource_fails_the_whole_request(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        resources = [Message(resource_type=kind, resource_name="t", configuration_keys=None) for kind in (TOPIC, 3)]
        answer = await ask(ApiKey.DESCRIBE_CONFIGS, 4, resources=resources)
        assert [each.error_code for each in answer.results] == [ErrorCode.INVALID_REQUEST] * 2

    with_broker(tmp_path, test)


def test_a_topics_config_acts_at_once_and_is_kept(tmp_path: Path) -> None:
    async def before(ask: Asker) -> None:
        await ask.create("t")
        assert await alter(ask, TOPIC, "t", ("segment.bytes", SET, "2000000")) == ("NONE", None)
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        assert partition.log.config.segment_bytes == 2_000_000

    async def after(ask: Asker) -> None:
        assert await value(ask, TOPIC, "t", "segment.bytes") == ("2000000", 1)
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        assert partition.log.config.segment_bytes == 2_000_000
        await alter(ask, TOPIC, "t", ("segment.bytes", DELETE, None))
        assert partition.log.config.segment_bytes == 2**30

    with_broker(tmp_path, before)
    with_broker(tmp_path, after)


def test_a_brokers_config_acts_on_its_topics_at_once_and_is_kept(tmp_path: Path) -> None:
    async def before(ask: Asker) -> None:
        await ask.create("t")
        await ask.create("own", segment_bytes="3000000")
        assert await alter(ask, BROKER, "", ("log.segment.bytes", SET, "2000000")) == ("NONE", None)
        assert await value(ask, TOPIC, "t", "segment.bytes") == ("2000000", 3)
        assert await value(ask, TOPIC, "own", "segment.bytes") == ("3000000", 1)
        await alter(ask, BROKER, "1", ("log.segment.bytes", SET, "2500000"))
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        assert partition.log.config.segment_bytes == 2_500_000

    async def after(ask: Asker) -> None:
        assert await value(ask, BROKER, "1", "log.segment.bytes") == ("2500000", 2)
        partition = ask.broker.partitions.find("t", 0)
        assert partition is not None
        assert partition.log.config.segment_bytes == 2_500_000

    with_broker(tmp_path, before)
    with_broker(tmp_path, after)


def test_what_is_only_validated_is_not_set(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t")
        change = ("retention.ms", SET, "5")
        assert await alter(ask, TOPIC, "t", change, validate_only=True) == ("NONE", None)
        assert await value(ask, TOPIC, "t", "retention.ms") == ("604800000", 5)

    with_broker(tmp_path, test)


def test_altering_replaces_what_was_set(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        await ask.create("t", retention_ms="5", segment_ms="6")
        asked = Message(resource_type=TOPIC, resource_name="t", configs=[Message(name="retention.ms", value="7")])
        answer = await ask(ApiKey.ALTER_CONFIGS, 2, resources=[asked])
        assert answer.responses[0].error_code == 0
        assert await value(ask, TOPIC, "t", "retention.ms") == ("7", 1)
        assert await value(ask, TOPIC, "t", "segment.ms") == ("604800000", 5)

    with_broker(tmp_path, test)


def test_groups_and_client_metrics_keep_what_is_set(tmp_path: Path) -> None:
    async def before(ask: Asker) -> None:
        await alter(ask, GROUP, "g", ("consumer.session.timeout.ms", SET, "50000"))
        await alter(ask, CLIENT_METRICS, "m", ("metrics", SET, "*"))

    async def after(ask: Asker) -> None:
        assert await value(ask, GROUP, "g", "consumer.session.timeout.ms") == ("50000", 8)
        assert await value(ask, CLIENT_METRICS, "m", "metrics") == ("*", 7)

    with_broker(tmp_path, before)
    with_broker(tmp_path, after)


# -- loggers


@pytest.fixture
def our_logger() -> Any:
    logger = logging.getLogger(f"{broker_loggers.PACKAGE}.test")
    before = logger.level
    yield logger
    logger.setLevel(before)


def test_a_loggers_level_is_changed_on_the_spot(tmp_path: Path, our_logger: logging.Logger) -> None:
    async def test(ask: Asker) -> None:
        assert await alter(ask, LOGGER, "1", (our_logger.name, SET, "DEBUG")) == ("NONE", None)
        assert our_logger.level == logging.DEBUG
        assert await value(ask, LOGGER, "1", our_logger.name) == ("DEBUG", 6)
        validated = (our_logger.name, SET, "FATAL")
        assert await alter(ask, LOGGER, "1", validated, validate_only=True) == ("NONE", None)
        assert our_logger.level == logging.DEBUG
        await alter(ask, LOGGER, "1", (our_logger.name, DELETE, None))
        assert our_logger.level == logging.NOTSET

    with_broker(tmp_path, test)


@pytest.mark.parametrize(
    ("node", "change", "code", "message"),
    [
        ("2", ("root", SET, "WARN"), "INVALID_REQUEST", "Unexpected node id. Expected 1, but received 2"),
        ("x", ("root", SET, "WARN"), "INVALID_REQUEST", "Node id must be an integer, but it is: x"),
        (
            "1",
            ("root", SET, "FOO"),
            "INVALID_CONFIG",
            "Cannot set the log level of root to FOO as it is not a supported log level. "
            "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
        ),
        ("1", ("no.such.logger", SET, "WARN"), "INVALID_CONFIG", "Logger no.such.logger does not exist!"),
        (
            "1",
            ("root", DELETE, None),
            "INVALID_REQUEST",
            "Removing the log level of the root logger is not allowed",
        ),
        (
            "1",
            ("root", APPEND, "WARN"),
            "INVALID_REQUEST",
            "APPEND operation is not allowed for the BROKER_LOGGER resource",
        ),
        ("1", ("root", 9, "WARN"), "INVALID_REQUEST", "Unknown operations type 9"),
        ("1", ("root", SET, None), "INVALID_REQUEST", "Null value not supported for : root"),
    ],
)
def test_a_loggers_change_is_refused_as_kafka_refuses_it(
    tmp_path: Path, node: str, change: tuple[str, int, str | None], code: str, message: str
) -> None:
    async def test(ask: Asker) -> None:
        assert await alter(ask, LOGGER, node, change) == (code, message)

    with_broker(tmp_path, test)


def test_answers_come_in_the_order_of_the_request(tmp_path: Path) -> None:
    async def test(ask: Asker) -> None:
        names = [(LOGGER, "2"), (TOPIC, "nope"), (LOGGER, "3"), (LOGGER, "3"), (TOPIC, "")]
        resources = [Message(resource_type=kind, resource_name=name, configs=[]) for kind, name in names]
        answer = await ask(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, resources=resources)
        assert [(each.resource_type, each.resource_name) for each in answer.responses] == names
        assert [each.error_message for each in answer.responses][2:4] == ["Each resource must appear at most once."] * 2

    with_broker(tmp_path, test)
