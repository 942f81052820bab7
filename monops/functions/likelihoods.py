"""Losses that are negative log-likelihoods: logistic, cross entropy, Poisson, log-sum-exp."""

from __future__ import annotations

__all__: list[str] = []
