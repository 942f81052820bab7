"""Methods that use one part of a sum, or one block of variables, at a time."""

__all__: list[str] = []
