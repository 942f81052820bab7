"""Calculus of functions: scaling, shifting, duality, composition, blocks, distances, averages, closed-form sums."""
