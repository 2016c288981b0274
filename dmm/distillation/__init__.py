"""Small students of SD 1.5 and SDXL models: fewer weights, fewer passes, the same prompts."""
