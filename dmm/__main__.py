"""``python -m dmm``."""

from .cli import main

main()
