"""Ways to work through jobs: on this machine, or on a Ray cluster."""
