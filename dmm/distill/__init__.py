"""Small SDXL-architecture models, trained from scratch on a mel dataset."""
