"""The frozen types of a benchmark, and the one strict decoder that makes them."""
