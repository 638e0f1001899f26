"""What can go wrong on the client's side of a connection.

A refusal by the broker is a `KafkaError` (protocol); here are the failures where no answer is to be had.  Each
text names the address, for that is what a person has to look at.
"""

from __future__ import annotations


class ClientError(Exception):
    """No answer is to be had from a broker."""


class CannotConnect(ClientError):
    """Nobody answers at the address."""


class ConnectionLost(ClientError):
    """The connection ended while answers were awaited; what was asked may have been done."""


class RequestTimedOut(ClientError):
    """No answer came in time; what was asked may have been done."""


class UnsupportedApi(ClientError):
    """The broker and this client have no version of an API in common."""
