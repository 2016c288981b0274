"""Where the trainer's process begins: ``python -m dmm_ext --config_file RUN/engine.toml``."""

import signal


def main() -> None:
    """Train. Until the training listens, ctrl-C ends the process at once and without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the engine's imports take seconds
    from .process import main

    main()


if __name__ == "__main__":
    main()
