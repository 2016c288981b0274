"""``dmm`` and ``python -m dmm``: until the command line is loaded, ctrl-C ends it quietly."""

import signal
import sys


def main() -> None:
    """Run the command line, and exit with its code."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main, report_interruption

    try:
        signal.signal(signal.SIGINT, before)
        main()
    except KeyboardInterrupt:
        sys.exit(report_interruption())


if __name__ == "__main__":
    main()
