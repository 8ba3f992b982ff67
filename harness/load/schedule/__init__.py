"""What is sent in a trial, and when: made before the run, from a seed or from a recorded trace."""
