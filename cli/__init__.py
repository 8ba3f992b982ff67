"""The door: verbs, composition of cells, progress."""
