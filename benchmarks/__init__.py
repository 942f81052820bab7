"""Benchmarks: our library and a reference on the same work, in one run."""
