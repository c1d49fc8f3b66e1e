"""What was measured: what a record says, where it is kept, from which machine, and whether it is stale."""
