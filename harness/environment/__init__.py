"""Facts about the machine and the software, and what changed during a run."""
