"""Webhooks: messages and their delivery. May import `tasks`, `outbound` and `telemetry`."""
