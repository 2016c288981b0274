"""Start the trainer's process: ``python -m dmm_ext --config_file RUN/engine.toml``."""

import os
import signal
import sys
import threading

from dmm.training.engine_run import PARENT_PIPE


def main() -> None:
    """Train; until the training run catches signals, ctrl-C ends the process at once, silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the engine's imports take seconds
    if os.environ.pop(PARENT_PIPE, None):
        threading.Thread(target=_end_with_parent, daemon=True).start()
    from .process import main

    code = main()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # threads of torch's process group may abort the interpreter as it ends
    sys.exit(code)


def _end_with_parent() -> None:
    """Wait until the pipe to standard input is closed; then end as after a SIGTERM."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
