"""How work arrives: the loops that drive an engine."""
