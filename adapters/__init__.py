"""Other people's software and hardware, one package a kind."""
