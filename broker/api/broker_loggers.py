"""The broker's loggers as configs of the resource type BROKER_LOGGER (KIP-412): see and change log levels from afar.

The names are Python's own logger names, `root` for the one above all; the levels are Kafka's words. Nothing is
written down: a restart begins with the levels of the command line.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ...protocol.errors import ErrorCode, KafkaError
from ..config_decisions import Alteration, AlterResult, Operation, ResourceAlteration, check_form
from ..config_description import LOGGER_SOURCE, UNKNOWN_TYPE, Description

ROOT = "root"
PACKAGE = __name__.split(".")[0]

_LEVELS = {
    "DEBUG": logging.DEBUG,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "INFO": logging.INFO,
    "TRACE": logging.DEBUG - 5,
    "WARN": logging.WARNING,
}


def describe_loggers() -> Iterable[Description]:
    for name in _names():
        level = logging.getLogger(None if name == ROOT else name).getEffectiveLevel()
        yield Description(name=name, text=_word(level), source=LOGGER_SOURCE, type=UNKNOWN_TYPE, documentation="")


def alter_loggers(node_id: int, asked: ResourceAlteration, *, validate_only: bool) -> AlterResult:
    """All of the changes asked for, or a refusal and none."""
    try:
        _check(node_id, asked)
    except KafkaError as refusal:
        return AlterResult(asked.resource_type, asked.resource_name, refusal.code, refusal.message)
    if not validate_only:
        for each in asked.alterations:
            level = _LEVELS[each.value or ""] if each.operation == Operation.SET else logging.NOTSET
            logging.getLogger(None if each.name == ROOT else each.name).setLevel(level)
    return AlterResult(asked.resource_type, asked.resource_name)


def _check(node_id: int, asked: ResourceAlteration) -> None:
    check_form(asked.alterations)
    try:
        is_own = int(asked.resource_name) == node_id
    except ValueError:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {asked.resource_name}"
        ) from None
    if not is_own:
        raise KafkaError(
            ErrorCode.INVALID_REQUEST,
            f"Unexpected node id. Expected {node_id}, but received {asked.resource_name}",
        )
    names = _names()
    for each in asked.alterations:
        _check_alteration(each, names)


def _check_alteration(asked: Alteration, names: list[str]) -> None:
    operation = asked.operation
    if operation in (Operation.APPEND, Operation.SUBTRACT):
        word = Operation(operation).name
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"{word} operation is not allowed for the BROKER_LOGGER resource")
    if operation not in (Operation.SET, Operation.DELETE):
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"Unknown operations type {operation}")
    if asked.name not in names:
        raise KafkaError(ErrorCode.INVALID_CONFIG, f"Logger {asked.name} does not exist!")
    if operation == Operation.DELETE and asked.name == ROOT:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Removing the log level of the root logger is not allowed")
    if operation == Operation.SET and asked.value not in _LEVELS:
        raise KafkaError(
            ErrorCode.INVALID_CONFIG,
            f"Cannot set the log level of {asked.name} to {asked.value} as it is not a supported log level. "
            f"Valid log levels are {', '.join(_LEVELS)}",
        )


def _names() -> list[str]:
    """`root`, and the loggers of this package that exist."""
    existing = logging.root.manager.loggerDict
    return [ROOT, *sorted(name for name in existing if name.split(".")[0] == PACKAGE)]


def _word(level: int) -> str:
    """Kafka's word for a level, the next milder one for a level between two."""
    return max((known, word) for word, known in _LEVELS.items() if known <= max(level, min(_LEVELS.values())))[1]
