"""From a model's own code to its operator graph."""
