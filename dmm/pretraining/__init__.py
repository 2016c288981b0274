"""Pretrain small SDXL-architecture models from scratch on a dataset of mel images."""
