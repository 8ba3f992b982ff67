"""The survey's reporting checklist: its items, what answers them, and what a record lacks."""
