"""Methods that finish with Newton steps on the structure that first-order steps have found."""

__all__: list[str] = []
