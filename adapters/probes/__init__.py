"""Probes: what watches power and load while a trial runs."""
