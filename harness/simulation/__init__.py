"""Simulated machines: one engine on a virtual clock, any cost model."""
