"""`dataclass`, as in the standard library, but quick to make: most values of this house are frozen dataclasses with slots.

The standard library writes, compiles and runs the source of up to ten methods for each class, 0.7 ms for a frozen one (Python
3.11). A broker that starts has 150 of them before its first answer: a third of the start. Here only `__init__` is compiled,
for it alone runs often; the others are closures over the fields, written once. What a class can do is the same, and it is a
dataclass for `fields`, `replace`, `asdict`, `match` and type checkers, which are shown the original. A test holds the two
against each other.

Instances are also made faster: a frozen one's `__init__` writes to its slots, and does not go by way of `object.__setattr__`.

Only what is used here is known: classes with slots, without `InitVar`. Everything else belongs to the original.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, FrozenInstanceError, field
from operator import attrgetter, ge, gt, le, lt
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")
Fields = Sequence[dataclasses.Field[Any]]
Methods = Mapping[str, Callable[..., Any] | None]

_COMPARISONS = {"__lt__": lt, "__le__": le, "__gt__": gt, "__ge__": ge}
_FRESH = object()
"""Stands for the value of a default factory in a signature."""

__all__ = ("dataclass", "field")


def _dataclass(
    *, slots: bool, frozen: bool = False, eq: bool = True, order: bool = False, kw_only: bool = False
) -> Callable[[type[T]], type[T]]:
    assert slots, "without slots: use the standard library's"

    def make(plain: type[T]) -> type[T]:
        if not plain.__doc__:
            plain.__doc__ = plain.__name__  # else the standard library would write the signature there, in 0.1 ms
        cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(plain)
        fields = dataclasses.fields(cls)  # type: ignore[arg-type]
        _add(cls, {"__init__": _init(cls, fields, writes_slots=frozen), "__repr__": _repr(fields)})
        if eq:
            _add(cls, _equality(_compared(fields)) | ({} if frozen else {"__hash__": None}))
        if order:
            _add(cls, {name: _comparison(compare, _compared(fields)) for name, compare in _COMPARISONS.items()})
        if frozen:
            _add(cls, _frozen(cls, [each.name for each in fields]))
        return cls

    return make


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass


def _add(cls: type[Any], methods: Methods) -> None:
    """Those that the class itself does not have; None says that there is none."""
    for name, method in methods.items():
        if name not in cls.__dict__:
            if method is not None:
                method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
            setattr(cls, name, method)


def _init(cls: type[Any], fields: Fields, *, writes_slots: bool) -> Callable[..., None]:
    """Compiled, as it is what costs when a value is made."""
    taken = [each for each in fields if each.init]
    given = _names_in_init(cls, fields, writes_slots)
    parameters = ["self", *(_parameter(each) for each in taken if not each.kw_only)]
    if any(each.kw_only for each in taken):
        parameters += ["*", *(_parameter(each) for each in taken if each.kw_only)]
    body = [_assignment(each, writes_slots) for each in fields if each.init or _has_default(each)]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    lines = [f"def make({', '.join(given)}):", f" def __init__({', '.join(parameters)}):"]
    lines += [f"  {line}" for line in body or ["pass"]]
    made: dict[str, Any] = {}
    exec("\n".join([*lines, " return __init__"]), vars(sys.modules[cls.__module__]), made)
    init: Callable[..., None] = made["make"](**given)
    init.__annotations__ = {each.name: each.type for each in taken} | {"return": None}
    return init


def _names_in_init(cls: type[Any], fields: Fields, writes_slots: bool) -> dict[str, object]:
    given: dict[str, object] = {"_FRESH": _FRESH}
    for each in fields:
        if each.default is not MISSING:
            given[f"_default_{each.name}"] = each.default
        if each.default_factory is not MISSING:
            given[f"_new_{each.name}"] = each.default_factory
        if writes_slots:
            given[f"_set_{each.name}"] = getattr(cls, each.name).__set__
    return given


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _parameter(field: dataclasses.Field[Any]) -> str:
    if field.default is not MISSING:
        return f"{field.name}=_default_{field.name}"
    return field.name if field.default_factory is MISSING else f"{field.name}=_FRESH"


def _assignment(field: dataclasses.Field[Any], writes_slots: bool) -> str:
    name = field.name
    value = name if field.init else f"_default_{name}"
    if field.default_factory is not MISSING:
        value = f"_new_{name}() if {name} is _FRESH else {name}" if field.init else f"_new_{name}()"
    return f"_set_{name}(self, {value})" if writes_slots else f"self.{name} = {value}"


def _repr(fields: Fields) -> Callable[[Any], str]:
    names = [each.name for each in fields if each.repr]

    @recursive_repr()
    def shown(self: Any) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({values})"

    return shown


def _compared(fields: Fields) -> Callable[[Any], tuple[Any, ...]]:
    """What of an instance is compared."""
    return _tuple_of([each.name for each in fields if each.compare])


def _tuple_of(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda instance: tuple([getattr(instance, name) for name in names])


def _equality(compared: Callable[[Any], tuple[Any, ...]]) -> dict[str, Callable[..., Any] | None]:
    def equals(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared(self) == compared(other)

    def hashed(self: Any) -> int:
        return hash(compared(self))

    return {"__eq__": equals, "__hash__": hashed}


def _comparison(compare: Callable[[Any, Any], bool], compared: Callable[[Any], tuple[Any, ...]]) -> Callable[..., Any]:
    def comparison(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compare(compared(self), compared(other))

    return comparison


def _frozen(cls: type[Any], names: Sequence[str]) -> Methods:
    """What keeps an instance as it is, yet lets it be copied and pickled."""
    values = _tuple_of(names)

    def set_attribute(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete_attribute(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    def get_state(self: Any) -> list[Any]:
        return list(values(self))

    def set_state(self: Any, state: Sequence[Any]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {
        "__setattr__": set_attribute,
        "__delattr__": delete_attribute,
        "__getstate__": get_state,
        "__setstate__": set_state,
    }
