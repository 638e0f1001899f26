"""Asks a cluster on behalf of a command, and turns what can go wrong into one line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from ..client.admin import Admin
from ..client.errors import CannotConnect, ClientError
from ..protocol.errors import KafkaError
from .errors import FAILED, WRONGLY_ASKED, CommandError

T = TypeVar("T")

TIMEOUT_S = 30.0


def ask(bootstrap_servers: str, question: Callable[[Admin], Awaitable[T]]) -> T:
    """The answer to `question`, put to the cluster at these addresses; CommandError if there is none."""
    with in_one_line():
        return asyncio.run(_ask(bootstrap_servers, question))


@contextmanager
def in_one_line() -> Iterator[None]:
    """What the cluster refuses, or that nobody answers, becomes a CommandError."""
    try:
        yield
    except CannotConnect as error:
        hint = "is the broker running? `ottla serve` starts one, --bootstrap-server names another"
        raise CommandError(f"{error}; {hint}") from error
    except ClientError as error:
        raise CommandError(str(error)) from error
    except KafkaError as error:
        raise CommandError(_words(error)) from error


async def _ask(bootstrap_servers: str, question: Callable[[Admin], Awaitable[T]]) -> T:
    try:
        client = Admin(bootstrap_servers, timeout_s=TIMEOUT_S)
    except ValueError as error:
        raise CommandError(f"--bootstrap-server: {error}", exit_code=WRONGLY_ASKED) from error
    async with client:
        return await question(client)


def fail_if_any_refused(refused: Mapping[str, KafkaError], doing: str) -> None:
    """End the command with the broker's words on each thing it refused; `doing` is for instance "create"."""
    if refused:
        raise CommandError(
            "; ".join(f"cannot {doing} {name}: {_words(error)}" for name, error in refused.items()),
            exit_code=FAILED,
        )


def _words(error: KafkaError) -> str:
    """The broker's own words, and the name of the error where they do not say it already."""
    if not error.message or error.message == error.code.name:
        return _PLAIN_WORDS.get(error.code.name, error.code.name)
    return " ".join(error.message.split())


_PLAIN_WORDS = {
    "UNKNOWN_TOPIC_OR_PARTITION": "there is no such topic (UNKNOWN_TOPIC_OR_PARTITION)",
    "GROUP_ID_NOT_FOUND": "there is no such group (GROUP_ID_NOT_FOUND)",
    "NON_EMPTY_GROUP": "it has members: stop them first (NON_EMPTY_GROUP)",
    "GROUP_SUBSCRIBED_TO_TOPIC": "a member reads it: stop the group's members first (GROUP_SUBSCRIBED_TO_TOPIC)",
    "UNKNOWN_MEMBER_ID": "the group has members again: stop them first (UNKNOWN_MEMBER_ID)",
    "INVALID_GROUP_ID": "no group can have this name (INVALID_GROUP_ID)",
    "TOPIC_AUTHORIZATION_FAILED": "not allowed (TOPIC_AUTHORIZATION_FAILED)",
}
"""For the errors that come without words and that people meet most."""
