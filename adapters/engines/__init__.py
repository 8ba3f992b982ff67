"""Engines that execute a workload: real ones, and the fake one for tests."""
