"""``dmm`` and ``python -m dmm``: until the command line is loaded, ctrl-C ends it quietly."""

import signal
import sys


def main() -> None:
    """Run the command line."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import interrupted, main

    try:
        signal.signal(signal.SIGINT, before)
        main()
    except KeyboardInterrupt:
        sys.exit(interrupted())


if __name__ == "__main__":
    main()
