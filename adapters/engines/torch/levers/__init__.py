"""What can be done to a model that is built: one lever at a time, each told as facts."""
