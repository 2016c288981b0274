"""``dmm`` and ``python -m dmm``: until the command line is loaded, ctrl-C ends it quietly."""

import signal


def main() -> None:
    """Run the command line."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main

    signal.signal(signal.SIGINT, before)
    main()


if __name__ == "__main__":
    main()
