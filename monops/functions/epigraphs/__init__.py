"""Indicators of epigraphs."""
