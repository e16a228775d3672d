"""What clients see of tasks: views, events, presets, bulk retries, metrics. May import `http`."""
