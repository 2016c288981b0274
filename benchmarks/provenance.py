"""Date, commit and machine: the first cells of every benchmark's row."""

import os
import platform
import subprocess
from datetime import UTC, datetime


def provenance(on: str = f"{os.cpu_count()} cores") -> tuple[str, str, str]:
    """Date (UTC), commit, and the machine with the cores or threads in use."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f"{datetime.now(UTC):%Y-%m-%d}", commit or "uncommitted", f"{platform.machine()}, {on}"
