"""Sampling in a few steps: three ways of teaching it, chosen by measurement (docs/log.md)."""
