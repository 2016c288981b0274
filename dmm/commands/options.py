"""Options that several commands share, with their help texts and panels."""

from pathlib import Path
from typing import Annotated

import typer

from ..choices import DEFAULT_FORMAT, Offload, Precision, Quality
from ..generation.sampling import Sampling

PROMPTS, IMAGE, MACHINE, SERVER = "Prompts", "Mel images", "Machine", "Server"
DEFAULT = Sampling()

ModelOption = Annotated[
    Path, typer.Option(help="SD 1.5 or SDXL checkpoint, one .safetensors file.")
]
LoraOption = Annotated[
    list[str] | None, typer.Option(help="LoRA, as FILE or FILE:WEIGHT; repeatable.")
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Sampling steps.", show_default=f"the model's own, else {DEFAULT.steps}"
    ),
]
GuidanceOption = Annotated[
    float | None,
    typer.Option(
        help="Classifier-free guidance scale; 1 means none.",
        show_default=f"the model's own, else {DEFAULT.guidance:g}",
    ),
]
SamplerOption = Annotated[
    str | None,
    typer.Option(
        help="Sampler, such as euler-a, ddim or unipc; an unknown name lists all.",
        show_default="the model's own, else dpm++-2m-karras",
    ),
]
NegativePromptOption = Annotated[
    str | None,
    typer.Option(help="Text to steer away from.", show_default="none", rich_help_panel=PROMPTS),
]
AnchorOption = Annotated[
    str | None,
    typer.Option(
        help="Text in front of every prompt.",
        show_default="the LoRA's, else the model's",
        rich_help_panel=PROMPTS,
    ),
]
NoAnchorOption = Annotated[
    bool,
    typer.Option("--no-anchor", help="No text in front of prompts.", rich_help_panel=PROMPTS),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        help="Mel format; presets/formats holds them.",
        show_default=f"the LoRA's, else the model's, else {DEFAULT_FORMAT}",
        rich_help_panel=IMAGE,
    ),
]
StereoOption = Annotated[
    bool | None,
    typer.Option(
        "--stereo/--mono",
        help="Use the colours as mid and side, or average them.",
        show_default="as trained",
        rich_help_panel=IMAGE,
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=MACHINE)
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="Of UNet and text encoders; auto is fp32 on a CPU, bf16 or fp16 on a GPU.",
        rich_help_panel=MACHINE,
    ),
]
OffloadOption = Annotated[
    Offload,
    typer.Option(
        help="To save GPU memory, keep there only the running network (model) or layer "
        "(sequential, slow).",
        rich_help_panel=MACHINE,
    ),
]
QualityOption = Annotated[
    Quality, typer.Option(help="Phase retrieval from images: 8, 32 or 128 iterations.")
]
LoudnessOption = Annotated[
    float | None,
    typer.Option(
        min=-60,
        max=-1,
        help="Integrated loudness in LUFS, such as -14.",
        show_default="unchanged",
    ),
]
PortOption = Annotated[
    int,
    typer.Option(
        min=0, max=65535, help="Port to serve on; 0 takes a free one.", rich_help_panel=SERVER
    ),
]
NoOpenOption = Annotated[
    bool,
    typer.Option(
        "--no-open",
        help="Only print the address: other users can see a browser's command line.",
        rich_help_panel=SERVER,
    ),
]
