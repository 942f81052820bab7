"""Functions of singular values and eigenvalues."""
