"""Receive uploads, batches and parts of uploads, and create tasks; idempotency. May import `http` and `tasks`."""
