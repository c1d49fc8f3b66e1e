"""What is planned and judged of claims: here, with mistakes planted, and in someone else's implementation."""
