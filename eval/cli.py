"""``dmm eval``: commands that score folders of clips."""

import typer

from .commands.compare import compare_runs
from .commands.convert import convert
from .commands.memorize import memorize
from .commands.reference_statistics import write_reference
from .commands.report import report
from .commands.single_metrics import clap, diversity, fad, kad, testset

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Score generated clips, by themselves and compared with real ones.",
)

for command in (clap, diversity, fad, kad, testset, memorize, report):
    app.command()(command)
app.command("stats")(write_reference)
app.command("compare")(compare_runs)
app.command("convert-clap")(convert)
