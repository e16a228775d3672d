"""Batches: several images that one request sends."""
