"""A real broker for tests: `from ottla.testing import BrokerProcess`, or pytest's fixture `ottla_broker`."""

from .broker_process import BrokerFailed, BrokerProcess

__all__ = ("BrokerFailed", "BrokerProcess")
