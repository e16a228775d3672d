"""`python -m app`: the supervisor of a worker and an embedded Valkey. May import `worker`."""
