"""`from ottla.sync import Producer, Admin`: the client without asyncio; told in client/sync.py."""

from .client.sync import Admin, Producer, Sent, SentBatch

__all__ = ("Admin", "Producer", "Sent", "SentBatch")
