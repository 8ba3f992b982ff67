"""Judgement: is a record valid, and why not."""
