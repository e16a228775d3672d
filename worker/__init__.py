"""The engine: operations, tasks, storage and the worker that runs them. Knows nothing of HTTP."""
