"""The commands ``dmm data ...``, each in a module of ``commands/``."""

import typer

from dmm.cli import add_command

from .commands import captions
from .commands.build import build
from .commands.check import check
from .commands.describe import describe
from .commands.fetch import fetch
from .commands.fidelity import fidelity
from .commands.show import show
from .commands.stats import stats

app = typer.Typer(
    help="Build datasets from music, check them, and look at them.",
    no_args_is_help=True,
    add_completion=False,
)
for command in (build, describe, fetch, check, stats, show, fidelity):
    add_command(app, command)
app.add_typer(captions.app, name="captions")
