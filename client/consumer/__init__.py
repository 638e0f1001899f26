"""The consumer and its parts: pure state and decisions, and the few tasks that carry them out."""
