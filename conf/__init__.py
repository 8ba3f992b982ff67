"""With what we measure: the Hydra groups of every cell."""
