"""Short programs on real data."""
