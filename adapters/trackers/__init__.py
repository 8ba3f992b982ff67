"""Trackers: where finished records are mirrored to."""
