"""Receive uploads and create tasks; idempotency. May import `http`, `auth` and `tasks`."""
