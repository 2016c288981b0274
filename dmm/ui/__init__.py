"""The page of ``dmm ui``: a local web server and its JavaScript."""
