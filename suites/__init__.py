"""What we measure: workloads, and one YAML a suite."""
