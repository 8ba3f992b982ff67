"""Executors: where sessions run."""
