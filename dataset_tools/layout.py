"""Names of the folders in a dataset, shared by everything that writes or reads one."""

SPLITS = ("train", "reg", "val", "test")
"""Folders of clips, and values of the manifest's column ``split``; ``reg`` is regularisation."""
LEFT_OUT = "out"
"""Place of a track that has no clips in the dataset; all other places are splits."""
BUILD_FOLDER = ".dmm-build"
"""Holds ``options.json`` and a record of every track, so that an interrupted build can continue."""
