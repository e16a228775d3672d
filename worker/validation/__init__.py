"""Typed fields and messages about invalid values. May import no other folder."""
