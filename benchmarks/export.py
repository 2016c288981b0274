"""Bundles against PyTorch: ``python benchmarks/export.py MODEL [--clips 100] [--precisions ...]``.

Exports MODEL in each precision into a temporary folder. Prints one Markdown row a precision: date,
commit, machine, model, precision of all parts, bytes of the UNet and of the whole bundle as shares
of fp32's, relative errors of UNet and latents, PSNR of the mel image, adherence (PyTorch's) and FAD
of --clips clips, and CPU time of a UNet step in ONNX Runtime as a multiple of PyTorch's: median and
quartiles of interleaved pairs in this process, on one thread, for one row and for guidance's two.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from provenance import provenance

from dmm.bundles.schema import Bundle
from dmm.bundles.sessions import open_session
from dmm.export.exporter import SUGGESTED_PROMPTS, ExportOptions, default_prompts, export
from dmm.export.precision import Precisions
from dmm.export.reference import RunPart
from dmm.export.scoring import ClipScorer, ClipScores
from dmm.export.source import Source
from dmm.generation.settings import resolve_settings

PAIRS = 40
HEADER = (
    "| date | commit | machine | model | precision | UNet bytes | bundle bytes | UNet error"
    " | latents' error | mel image dB | adherence (PyTorch) | FAD | step x PyTorch, 1 row"
    " | 2 rows |\n|" + "---|" * 14
)


def main() -> None:
    """Export, compare and time every precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--clips", type=int, default=0)
    parser.add_argument(
        "--precisions", nargs="+", default=["fp32", "fp16", "mixed", "int8", "int4"]
    )
    options = parser.parse_args()
    settings = resolve_settings(options.model)
    prompts = default_prompts(settings.fmt, max(options.clips, SUGGESTED_PROMPTS))
    scorer = PytorchOnce("nano-clap") if options.clips else None
    source = Source(options.model, settings)
    print(HEADER)
    whole: tuple[int, int] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for precision in options.precisions:
            precisions = Precisions(*[precision] * 3)
            chosen = ExportOptions(options.model, settings, prompts, precisions=precisions)
            bundle = export(chosen, Path(folder) / precision, scorer)
            sizes = unet_bytes(bundle), sum(file.bytes for file in bundle.files())
            whole = whole or sizes
            times = [step_ratio(source, Path(folder) / precision, rows) for rows in (1, 2)]
            print(row(options.model.stem, precision, bundle, sizes, whole, times), flush=True)


class PytorchOnce(ClipScorer):
    """Scores PyTorch's clips once: they are the same for every precision."""

    _pytorch: ClipScores | None = None

    def score(self, run: RunPart, *args: Any) -> ClipScores:
        """As ``ClipScorer``'s, but PyTorch's first scores are returned again."""
        if not isinstance(getattr(run, "__self__", None), Source):
            return super().score(run, *args)
        self._pytorch = self._pytorch or super().score(run, *args)
        return self._pytorch


def unet_bytes(bundle: Bundle) -> int:
    """Bytes of the UNet's files."""
    unet = bundle.parts["unet"]
    return unet.model.bytes + sum(file.bytes for file in unet.data)


def row(
    model: str,
    precision: str,
    bundle: Bundle,
    sizes: tuple[int, int],
    whole: tuple[int, int],
    times: list[str],
) -> str:
    """One precision as a Markdown row."""
    rows = {found.part: found for found in bundle.parity}
    clips = rows.get("clips")
    cells = (
        *provenance("1 thread"),
        model,
        precision,
        *(f"{size / 1e6:.2f} MB ({size / of:.3f})" for size, of in zip(sizes, whole, strict=True)),
        f"{rows['unet'].relative_error:.1e}",
        f"{rows['whole run'].relative_error:.1e}",
        f"{rows['whole run'].psnr_db:.1f}",
        f"{clips.adherence} ({clips.adherence_expected}), {clips.clips} clips" if clips else "",
        f"{clips.fad}" if clips else "",
        *times,
    )
    return f"| {' | '.join(cells)} |"


def step_ratio(source: Source, folder: Path, rows: int) -> str:
    """CPU time of a UNet step in ONNX Runtime by PyTorch's: median and quartiles of pairs."""
    part = source.parts["unet"]
    sizes = source.sizes(rows)
    generator = np.random.default_rng(0)
    inputs = {
        name: generator.normal(
            size=[sizes.get(part.axes[name].get(i, ""), n) for i, n in enumerate(tensor.shape)]
        ).astype(np.float32)
        for name, tensor in part.inputs.items()
    }
    inputs["timestep"] = np.array([500], np.float32)
    tensors = [torch.from_numpy(array) for array in inputs.values()]
    session = open_session(folder / "unet.onnx", intra_op_num_threads=1)
    network = part.network.float()
    torch.set_num_threads(1)
    with torch.no_grad():
        ratios = [
            _seconds(lambda: session.run(None, inputs)) / _seconds(lambda: network(*tensors))
            for _ in range(PAIRS + 5)
        ][5:]
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
