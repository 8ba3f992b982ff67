"""Work: the registry, the plan, sessions, trials, the campaign."""
