"""Reports: what a run did, as numbers and as text."""
