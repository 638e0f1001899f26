"""What clients are told when a record of their group could not be written: Kafka's translation.

They look for the coordinator again, or ask again in a moment, instead of taking the group for broken. Kafka's counterpart:
`CoordinatorOperationExceptionHelper.handleOperationException`.
"""

from __future__ import annotations

from ...protocol.errors import ErrorCode


def refusal_of(code: ErrorCode) -> ErrorCode:
    """The word for it."""
    match code:
        case ErrorCode.REQUEST_TIMED_OUT:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        case ErrorCode.KAFKA_STORAGE_ERROR:
            return ErrorCode.NOT_COORDINATOR
        case ErrorCode.RECORD_LIST_TOO_LARGE | ErrorCode.MESSAGE_TOO_LARGE:
            return ErrorCode.UNKNOWN_SERVER_ERROR
    return code
