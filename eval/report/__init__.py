"""The page of ``dmm eval report`` and the JSON it is drawn from."""

SHOWN_CLIPS = 8
"""Clips of a set that are shown in full unless asked otherwise."""
