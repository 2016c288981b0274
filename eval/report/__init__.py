"""``dmm eval report``: scores as JSON, and an HTML page with plots and players."""

SHOWN_CLIPS = 8
"""Default number of clips of a set that the page shows in full."""
