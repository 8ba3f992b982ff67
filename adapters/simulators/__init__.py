"""Cost models of machines that nobody here owns."""
