"""Functions of pairs: divergences and perspectives."""
