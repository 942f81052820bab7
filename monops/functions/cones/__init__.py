"""Closed convex cones, their polars and duals."""
