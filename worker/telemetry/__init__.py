"""Logs, counters and their history. May import no other folder."""
