"""Activations of neural networks as proxes, for every step."""
