"""``dmm eval``: commands that score folders of clips."""

import typer

from dmm.cli import add_command

from .commands.compare import compare_runs
from .commands.convert import convert
from .commands.memorize import memorize
from .commands.reference_statistics import write_reference_statistics
from .commands.report import report
from .commands.single_metrics import clap, diversity, fad, kad, testset

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Score generated clips, by themselves and compared with real ones.",
)

for command in (clap, diversity, fad, kad, testset, memorize, report):
    add_command(app, command)
add_command(app, write_reference_statistics, "stats")
add_command(app, compare_runs, "compare")
add_command(app, convert, "convert-clap")
