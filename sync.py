"""`from ottla.sync import Admin, Consumer, Producer`: the client without asyncio; told in client/sync.py."""

from .client.sync import Admin, Consumer, Producer, Sent, SentBatch

__all__ = ("Admin", "Consumer", "Producer", "Sent", "SentBatch")
