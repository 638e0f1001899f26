"""What can go wrong on the client's side.

A refusal by a broker is a `KafkaError` (protocol), with Kafka's code; here are the failures where no answer is to be
had, or where the client itself refuses.  Each text names the address, the topic and partition, or the record, for
that is what a person has to look at.
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


class ClientClosed(ClientError):
    """The client was closed, or not yet started."""


class RecordTooLarge(ClientError):
    """The record alone is larger than `max_request_size`; it was not sent."""


class BufferFull(ClientError):
    """No room came free within `max_block_ms`; the record was not taken."""


class DeliveryTimedOut(ClientError):
    """A record was not acknowledged within `delivery_timeout_ms`; if it was sent, it may have been written."""


class TransactionFailed(ClientError):
    """The transaction cannot go on, or none is open; what it wrote does not count, once it is aborted."""


class ProducerFenced(ClientError):
    """Another producer has the transactional id now, or the transaction took too long: this one has come to its end."""
