"""``dmm eval``: one thin command for each thing that can be asked of a folder of clips."""

import typer

from .commands.compare import compare_runs
from .commands.convert import convert
from .commands.memorize import memorize
from .commands.report import report
from .commands.single import clap, diversity, fad, kad, testset
from .commands.stats import stats

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Score clips beside real ones.",
)

for command in (clap, diversity, fad, kad, testset, memorize, report, stats):
    app.command()(command)
app.command("compare")(compare_runs)
app.command("convert-clap")(convert)
