"""How work is done: jobs in processes on this machine or a Ray cluster, and what they share."""
