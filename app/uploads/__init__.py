"""From a form to a queued task: receiving files, uploads by URL, idempotency. May import `http`, `auth` and `tasks`."""
