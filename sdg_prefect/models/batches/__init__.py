"""Batches: requests that are left with a provider, answered some time later, and collected, by whichever run comes."""
