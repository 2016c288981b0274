"""``dmm web``: serve the browser player, or write it as a folder for any static host."""
