"""Real data sets as they lie inside packages, and tasks made from a seed."""
