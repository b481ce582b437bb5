"""What lies in a store, what may go, and what is damaged."""
