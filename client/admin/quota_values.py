"""Client quotas as an administrator says and hears them."""

from __future__ import annotations

from ...protocol.values import dataclass


@dataclass(frozen=True, slots=True, order=True)
class QuotaEntity:
    """Whose quota: pairs of a type (`user`, `client-id`, `ip`) and a name, None for the default of the type."""

    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def of(cls, *, user: str | None = "", client_id: str | None = "", ip: str | None = "") -> QuotaEntity:
        """`QuotaEntity.of(user="alice")`; None is the default user, what is left out is no part of it."""
        named = (("user", user), ("client-id", client_id), ("ip", ip))
        return cls(tuple((kind, name) for kind, name in named if name != ""))


@dataclass(frozen=True, slots=True)
class QuotaFilter:
    """Which entities: those that have each of the `exactly` parts (None: the default) and a part of `any_of` types.

    `strict` leaves out entities that have other parts besides.  An empty filter is all.
    """

    exactly: tuple[tuple[str, str | None], ...] = ()
    any_of: tuple[str, ...] = ()
    strict: bool = False
