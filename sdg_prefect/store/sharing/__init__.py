"""Several runs on one store: who is alive, and who works on what."""
