"""How the leader of a classic consumer group divides the partitions among the members; one strategy a file."""
