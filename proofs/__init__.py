"""Theorems of the field made executable: a registry of statements, instances, counterexamples and mutants."""
