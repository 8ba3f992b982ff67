"""Workload builders: models, data, training steps and operator graphs."""
