"""Tasks for clients: views, events, presets, bulk retries, metrics. May import `http`."""
