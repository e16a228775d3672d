"""The engine: operations, tasks, storage and the worker process. It does not import `app`."""
