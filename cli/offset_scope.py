"""Which partitions a command is about: `orders` is all of a topic, `orders:0,2` some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..client.admin import Admin, TopicPartition
from ..protocol.errors import KafkaError
from ..protocol.values import dataclass
from .asking import fail_if_any_refused
from .errors import WRONGLY_ASKED, CommandError


@dataclass(frozen=True, slots=True)
class TopicScope:
    """A topic, and some of its partitions, or with None all."""

    topic: str
    partitions: tuple[int, ...] | None = None


def parse_scopes(words: Iterable[str]) -> list[TopicScope]:
    """As given with --topic; CommandError for what cannot be read."""
    return [_parse(word) for word in words]


def _parse(word: str) -> TopicScope:
    topic, colon, listed = word.partition(":")
    if not colon:
        return TopicScope(topic)
    numbers = listed.split(",")
    if not topic or not all(each.isascii() and each.isdigit() for each in numbers):
        raise CommandError(f"--topic {word}: write it as --topic TOPIC or --topic TOPIC:0,1,2", exit_code=WRONGLY_ASKED)
    return TopicScope(topic, tuple(map(int, numbers)))


async def partitions_of(admin: Admin, scopes: Sequence[TopicScope]) -> list[TopicPartition]:
    """The partitions there are of these; CommandError for a topic or partition that does not exist."""
    described = await admin.describe_topics(dict.fromkeys(each.topic for each in scopes))
    fail_if_any_refused({name: each for name, each in described.items() if isinstance(each, KafkaError)}, "find")
    counts = {name: len(each.partitions) for name, each in described.items() if not isinstance(each, KafkaError)}
    found: dict[TopicPartition, None] = {}
    for each in scopes:
        count = counts[each.topic]
        for index in range(count) if each.partitions is None else each.partitions:
            if index >= count:
                raise CommandError(f"there is no partition {each.topic}-{index}: the topic has {count}")
            found[TopicPartition(each.topic, index)] = None
    return list(found)
