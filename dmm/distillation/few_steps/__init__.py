"""Sampling in a few steps: three methods, progressive by default."""
