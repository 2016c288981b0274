"""Start the trainer's process: ``python -m dmm_ext --config_file RUN/engine.toml``."""

import signal


def main() -> None:
    """Train; ctrl-C ends the process at once and silently until ``process.main`` handles it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the engine's imports take seconds
    from .process import main

    main()


if __name__ == "__main__":
    main()
