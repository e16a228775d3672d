"""Logs, counters and their history. Imports no other room."""
