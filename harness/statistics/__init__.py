"""Intervals and tests: pure functions that know nothing of benchmarks."""
