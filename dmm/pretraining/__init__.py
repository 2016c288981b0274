"""Small SDXL-architecture models, pretrained from scratch on a mel dataset."""
