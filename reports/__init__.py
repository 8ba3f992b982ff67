"""Readers of bundles: tables, figures and pages."""
