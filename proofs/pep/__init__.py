"""Worst cases of an iteration over classes of operators as small semidefinite programs, and their exact certificates.

``gram``: vectors, inner products as matrices, class inequalities. ``iterations``: the methods, in vectors. ``dual``: the
program. ``statements``: which theorem claims what, at random and at rational parameters (``numbers``). ``exact``, ``newton``:
multipliers in fractions. ``regenerate``: writes ``proofs/certificates``. The verifier, ``proofs/verify.py``, uses none of it.
"""
