"""Models that answer a sample in one call."""
