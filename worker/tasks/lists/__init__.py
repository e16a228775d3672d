"""Lists of tasks: their indices in Redis, pages, and failures in groups."""
