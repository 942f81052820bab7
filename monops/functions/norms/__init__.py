"""Norms: of vectors, of groups of entries, of sorted entries; squares, powers and linear functions."""
