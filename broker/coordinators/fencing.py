"""Whether a request speaks for a member: by its member id and, if it is static, its instance id (KIP-345).

the instance is held by another member id     FENCED_INSTANCE_ID: an older process of it, which must end
no such instance, or no such member           UNKNOWN_MEMBER_ID: the client joins as new
another generation                            ILLEGAL_GENERATION
"""

from __future__ import annotations

from ...protocol.errors import ErrorCode
from .group import Group


def check_member(group: Group, member_id: str, instance_id: str | None) -> ErrorCode:
    """NONE, or why not."""
    if instance_id is not None:
        holder = group.static_ids.get(instance_id)
        if holder is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        if holder != member_id:
            return ErrorCode.FENCED_INSTANCE_ID
    return ErrorCode.NONE if member_id in group.members else ErrorCode.UNKNOWN_MEMBER_ID


def check_generation(group: Group, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
    """The same, and that the member is up to date."""
    code = check_member(group, member_id, instance_id)
    if code is ErrorCode.NONE and generation != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    return code
