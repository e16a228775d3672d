"""Typed fields and the messages of what is wrong with them. Imports no other room."""
