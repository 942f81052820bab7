"""Nonconvex penalties and sets, marked nonconvex."""
