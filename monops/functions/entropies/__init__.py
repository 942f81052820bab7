"""Entropies, barriers, exponentials and powers, entry by entry, and log-sum-exp."""
