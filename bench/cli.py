"""``dmm bench``: models held against music whose truth is known."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dmm.files import sha256_file, write_text

from .listener.scores import score_listener
from .listener.train import train_listener
from .vocals.scores import score_vocals
from .vocals.train import train_vocals

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Hold models against music whose truth is known.",
)


app.command()(train_listener)
app.command()(score_listener)
app.command()(train_vocals)
app.command()(score_vocals)


@app.command()
def minimidi(
    model: Annotated[Path, typer.Option(help="SDXL checkpoint, one .safetensors file.")],
    out: Annotated[Path, typer.Option(help="Folder for the clips and bench.json.")],
    lora: Annotated[
        Path | None, typer.Option(help="Also measure the model with this LoRA.")
    ] = None,
    style: Annotated[str | None, typer.Option(help="Prompts of one style; default: base.")] = None,
    prompts: Annotated[int, typer.Option(min=1, help="Prompts of known pairs.")] = 100,
    unseen: Annotated[int, typer.Option(min=0, help="Prompts of unseen pairs, apart.")] = 25,
    seeds: Annotated[int, typer.Option(min=2, help="Clips of every prompt.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 25,
    guidance: Annotated[float, typer.Option(help="Classifier-free guidance; 1 is none.")] = 5.0,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips drawn at once.")] = 8,
) -> None:
    """Whether prompts are obeyed, how near the clips come to real ones, and how varied they are.

    Prompts and real clips come from MiniMIDI pieces that trained neither a generator nor a judge.
    An interrupted run goes on from the clips it has. Prints a table for known pairs of
    instruments and one for pairs kept out of training.

    Example: dmm bench minimidi --model models/nano/nano.safetensors --out bench-nano
    """
    from dmm.generation.sampling import Sampling
    from dmm.registry import load_embedder
    from eval.listening.judges import load_judges

    from .minimidi import Contender, bench
    from .prompts import cases
    from .table import facts, markdown

    judges, embedder = load_judges(), load_embedder("nano-clap")
    contender = Contender(model, lora, Sampling(steps=steps, guidance=guidance), batch_size)
    groups = {"known pairs" if style is None else style: (prompts, False)}
    if unseen and style is None:
        groups["unseen pairs"] = (unseen, True)
    found: dict[str, Any] = {
        "model_sha256": sha256_file(model),
        "lora_sha256": sha256_file(lora) if lora else None,
        "embedder": {"name": embedder.name, "version": embedder.version},
        "judges": judges.version,
        "steps": steps,
        "guidance": guidance,
    }
    for title, (count, is_unseen) in groups.items():
        chosen = cases(count, seeds, style, is_unseen)
        rows = bench(contender, chosen, judges, embedder, out / title.replace(" ", "-"))
        found[title] = {"prompts": len(chosen), "rows": facts(rows)}
        print(f"\n{title}: {len(chosen)} prompts x {seeds} seeds\n\n{markdown(rows)}")
    write_text(out / "bench.json", json.dumps(found, indent=2) + "\n")
