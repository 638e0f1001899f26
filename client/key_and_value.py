"""The types of keys and values: bytes, as far as a type checker is not told of others by a serializer or in brackets.

`AnyK` and `AnyV` are for who takes serializers among settings that a checker does not look into: unless it is told, anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # every checker knows it; at run time its defaults (PEP 696) are not needed, nor is it installed
    from typing_extensions import TypeVar

    K = TypeVar("K", default=bytes)
    V = TypeVar("V", default=bytes)
    AnyK = TypeVar("AnyK", default=Any)
    AnyV = TypeVar("AnyV", default=Any)
else:
    from typing import TypeVar

    K = TypeVar("K")
    V = TypeVar("V")
    AnyK = TypeVar("AnyK")
    AnyV = TypeVar("AnyV")
