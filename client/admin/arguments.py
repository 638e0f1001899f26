"""What an administrator gave, looked at before anything is sent, so that one line says which argument it is.

Each raises TypeError for what is of another kind, and ValueError for what is of the kind but no request can say; what a
broker would refuse is left to the broker.  A number is whatever counts as one by `__index__`, not only an int.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import index
from typing import SupportsFloat, SupportsIndex, TypeVar

from .values import TopicPartition

K = TypeVar("K")
V = TypeVar("V")


def name(given: object, what: str) -> str:
    """A str that UTF-8 can say."""
    if not isinstance(given, str):
        raise _wrong(given, what, "a str")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what}: {given!r:.100} cannot be said in UTF-8") from None
    return given


def number(given: object, what: str, *, bits: int = 32) -> int:
    """A signed number of so many bits."""
    if not isinstance(given, SupportsIndex):
        raise _wrong(given, what, "an int")
    if not -(2 ** (bits - 1)) <= index(given) < 2 ** (bits - 1):
        raise ValueError(f"{what}: {index(given)} does not fit into {bits} bits")
    return index(given)


def real(given: object, what: str) -> float:
    if not isinstance(given, SupportsFloat):
        raise _wrong(given, what, "a number")
    return float(given)


def several(given: Iterable[V], what: str) -> list[V]:
    """Not one str or bytes, whose letters would be taken for many."""
    if given is None:
        raise _wrong(given, what, "a list")
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{what}: several are wanted, write [{given!r:.100}]")
    return list(given)


def names(given: Iterable[str], what: str) -> list[str]:
    return [name(each, f"one of {what}") for each in several(given, what)]


def numbers(given: Iterable[int], what: str) -> list[int]:
    return [number(each, f"one of {what}") for each in several(given, what)]


def by_key(given: Mapping[K, V], what: str) -> Mapping[K, V]:
    if not isinstance(given, Mapping):
        raise _wrong(given, what, "a dict")
    return given


def instance(given: object, kind: type[V], what: str) -> V:
    if not isinstance(given, kind):
        raise _wrong(given, what, f"a {kind.__name__}")
    return given


def partition(given: object, what: str) -> TopicPartition:
    checked = instance(given, TopicPartition, what)
    name(checked.topic, f"the topic of {what}")
    number(checked.partition, f"the number of {what}")
    return checked


def partitions(given: Iterable[TopicPartition], what: str = "partitions") -> list[TopicPartition]:
    return [partition(each, f"one of {what}") for each in several(given, what)]


def config(given: object, what: str) -> str:
    """The value as a config says it: true and false for a bool, and a number in digits."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, SupportsIndex):
        return str(index(given))
    if isinstance(given, float):
        return repr(float(given))
    if not isinstance(given, str):
        raise _wrong(given, what, "a str, a number or a bool")
    return name(given, what)


def _wrong(given: object, what: str, wanted: str) -> TypeError:
    return TypeError(f"{what}: {wanted} is wanted, not {given!r:.100}")
