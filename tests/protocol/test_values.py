"""The house's dataclasses do what those of the standard library do: the same classes, made by either, side by side."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import pytest
from ottla.protocol import values
from ottla.protocol.values import field

T = TypeVar("T")
Maker = Callable[..., Callable[[type[Any]], type[Any]]]

OURS: Maker = vars(values)["_dataclass"]
THEIRS: Maker = dataclasses.dataclass
BOTH = pytest.mark.parametrize("dataclass", [OURS, THEIRS], ids=["ours", "theirs"])


def kinds(dataclass: Maker) -> SimpleNamespace:
    """One class of each kind that is used in this house."""

    @dataclass(frozen=True, slots=True)
    class Point:
        """With a default."""

        x: int
        y: int = 7

        @property
        def sum(self) -> int:
            return self.x + self.y

    @dataclass(frozen=True, slots=True)
    class Named(Point):
        name: str = "nobody"

    @dataclass(frozen=True, slots=True)
    class Single:
        only: float

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    @dataclass(slots=True)
    class Bag:
        size: int
        things: list[int] = field(default_factory=list)
        total: int = field(init=False)
        seen: set[int] = field(init=False, default_factory=set)
        mark: str = field(init=False, default="none")
        secret: str = field(default="", repr=False, compare=False)

        def __post_init__(self) -> None:
            self.total = self.size + len(self.things)

    @dataclass(slots=True, eq=False)
    class Thing:
        name: str

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Worded:
        first: int
        second: int = 2

    @dataclass(frozen=True, slots=True, order=True)
    class Ranked:
        major: int
        minor: int

    @dataclass(frozen=True, slots=True)
    class Own:
        value: int

        def __repr__(self) -> str:
            return f"<{self.value}>"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 11

    @dataclass(frozen=True, slots=True)
    class Box(Generic[T]):
        content: T

    return SimpleNamespace(**{name: each for name, each in locals().items() if isinstance(each, type)})


@OURS(frozen=True, slots=True)
class Portable:
    """At the top of a module, where pickle finds it."""

    a: int
    b: tuple[int, ...] = ()


def outcome(act: Callable[[], Any]) -> Any:
    """What comes of it, or the class of what was raised."""
    try:
        return act()
    except Exception as error:  # noqa: BLE001 - errors are what is compared
        return type(error)


ACTS: dict[str, Callable[[SimpleNamespace], Any]] = {
    "say it": lambda k: repr([k.Point(1), k.Named(1, 2), k.Empty(), k.Bag(3, [1]), k.Worded(first=1), k.Own(4)]),
    "say a new name": lambda k: repr(k.Named(1, name="x")),
    "fields": lambda k: [(f.name, f.type, f.init, f.kw_only) for f in dataclasses.fields(k.Bag)],
    "match": lambda k: [k.Point.__match_args__, k.Named.__match_args__, k.Worded.__match_args__],
    "slots": lambda k: [k.Point.__slots__, k.Named.__slots__, k.Bag.__slots__],
    "no dictionary": lambda k: outcome(lambda: k.Bag(1).__dict__),
    "hints of init": lambda k: typing.get_type_hints(k.Point.__init__),
    "parameters": lambda k: list(inspect.signature(k.Worded).parameters.values())[1].default,
    "kinds of parameters": lambda k: [each.kind for each in inspect.signature(k.Worded).parameters.values()],
    "replace": lambda k: repr(dataclasses.replace(k.Named(1, 2), x=5)),
    "as dictionary": lambda k: dataclasses.asdict(k.Bag(1, [2, 3])),
    "equal": lambda k: [k.Point(1) == k.Point(1, 7), k.Point(1) == k.Named(1), k.Point(1) == 1, k.Empty() == k.Empty()],
    "unequal": lambda k: [k.Point(1) != k.Point(2), k.Bag(1) == k.Bag(1, secret="s"), k.Bag(1) == k.Bag(2)],
    "same hash": lambda k: [hash(k.Point(1)) == hash((1, 7)), len({k.Point(1), k.Point(1), k.Point(2)}), hash(k.Own(1))],
    "unhashable": lambda k: outcome(lambda: hash(k.Bag(1))),
    "by identity": lambda k: [k.Thing("a") == k.Thing("a"), len({k.Thing("a"), k.Thing("a")})],
    "own": lambda k: [k.Own(1) == k.Own(2), repr(k.Own(1))],
    "order": lambda k: [repr(sorted([k.Ranked(2, 1), k.Ranked(1, 3)], reverse=True)), k.Ranked(1, 2) <= k.Ranked(1, 2)],
    "no order": lambda k: outcome(lambda: k.Point(1) < k.Point(2)),
    "order with others": lambda k: outcome(lambda: k.Ranked(1, 2) < (1, 2)),
    "no assignment": lambda k: outcome(lambda: setattr(k.Point(1), "x", 2)),
    "nothing new without frost": lambda k: outcome(lambda: setattr(k.Bag(1), "z", 2)),
    "no deletion": lambda k: outcome(lambda: delattr(k.Point(1), "x")),
    "too few": lambda k: outcome(lambda: k.Point()),
    "too many": lambda k: outcome(lambda: k.Point(1, 2, 3)),
    "by place": lambda k: outcome(lambda: k.Worded(1)),
    "not taken": lambda k: outcome(lambda: k.Bag(1, total=2)),
    "made by init itself": lambda k: [k.Bag(1, [1]).total, k.Bag(1).seen, k.Bag(1).mark],
    "a factory's each time": lambda k: k.Bag(1).things is k.Bag(1).things,
    "mixed up": lambda k: outcome(lambda: k.Named(1) == k.Point(1)),
    "copy": lambda k: [copy.copy(k.Point(1)) == k.Point(1), copy.deepcopy(k.Single(1.0)) == k.Single(1.0)],
    "generic": lambda k: [repr(k.Box(3)), k.Box(1) == k.Box(1)],
    "documentation": lambda k: k.Point.__doc__,
    "names": lambda k: [k.Point.__init__.__name__, k.Point.__eq__.__qualname__.rpartition(".")[2]],
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
def test_a_class_of_ours_does_what_one_of_the_standard_library_does(act: str) -> None:
    assert ACTS[act](kinds(OURS)) == ACTS[act](kinds(THEIRS))


def test_a_frozen_value_takes_nothing_new() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Portable(1), "new", 2)  # noqa: B010 - a type checker would not let it pass


def test_a_plain_subclass_of_a_frozen_class_may_have_more() -> None:
    class More(Portable):  # type: ignore[misc]
        pass

    more = More(1)
    more.new = 3

    assert more.new == 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        more.a = 2


@BOTH
def test_what_contains_itself_can_be_said(dataclass: Maker) -> None:
    bag = kinds(dataclass).Bag(1)
    bag.things.append(bag)

    assert "..." in repr(bag)


def test_a_frozen_value_survives_pickle() -> None:
    value = Portable(1, (2, 3))

    assert pickle.loads(pickle.dumps(value)) == value


def test_a_match_takes_a_value_apart() -> None:
    match Portable(1, (2,)):
        case Portable(1, (two,)):
            assert two == 2
        case _:
            pytest.fail("not matched")


def test_a_class_without_slots_belongs_to_the_original() -> None:
    with pytest.raises(AssertionError, match="standard library"):
        OURS(slots=False)
