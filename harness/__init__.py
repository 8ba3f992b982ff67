"""What a benchmark is: load, traces, metrics, statistics, validity, records, bundles."""
