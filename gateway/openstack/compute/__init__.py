"""Compute v2.1."""
