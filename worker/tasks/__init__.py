"""The task in Redis: model, store, queue, listing, events. May import `imaging`, `telemetry` and `validation`."""
