"""One definition for each metric: pure functions over a trace."""
