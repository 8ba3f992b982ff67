"""vLLM: its engine in process, and its server."""
