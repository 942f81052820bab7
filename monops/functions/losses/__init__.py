"""Losses: of margins, of residuals, likelihoods, quadratics."""
