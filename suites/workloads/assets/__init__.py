"""Weights and data sets that registry packages carry."""
