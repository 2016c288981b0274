"""Clips from prompts: sampling by a diffusion model, then sound from the mel image."""
