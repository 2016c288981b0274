"""Constants of the trainer (``dmm_ext``) that the forecast of a run depends on too."""

PROMPTS_FROM_CAPTIONS = 4
"""Captions that previews use as prompts where none are given."""
VALIDATION_BATCH = 4
"""Clips per batch; fixed, because the noise of a validation is generated per batch."""
VALIDATION_TIMESTEPS = (100, 300, 500, 700, 900)
"""Timesteps at which a clip is scored; evenly over the schedule's 1000."""
MOST_REG_REPEATS = 4
"""Regularisation clips help if each is seen at most this many times as often as a training clip."""
