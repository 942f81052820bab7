"""Indicators of closed convex sets: boxes, balls, simplices, polyhedra, intersections, transport plans."""
