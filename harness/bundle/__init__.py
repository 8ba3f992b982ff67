"""The folder on disk that is the truth: written, read and verified."""
