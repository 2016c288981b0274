"""How fast a student's UNet is trained: ``python benchmarks/distill.py [--rounds 5]``.

nano teaches a student the guided prediction, squared errors, AdamW, clipped gradients, a moving
average, bfloat16 by autocast, cached latents and text embeddings; one CPU thread. Beside our loop
runs a plain one, written as diffusers' own ``train_text_to_image_sdxl.py`` is: the teacher is asked
twice in every step. Ours asks it at once for both, or has its outputs stored beforehand: then the
time to compute them counts too, shared among the steps of the preset. Rounds alternate in one
process; CPU time. Prints the table's head and one Markdown row.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from provenance import provenance

from dmm.checkpoints.networks import build_unet
from dmm.distillation.embedding_table import EmbeddingTable
from dmm.distillation.examples import Examples
from dmm.distillation.inheritance import inherit_weights
from dmm.distillation.noise_schedule import NoiseSchedule
from dmm.distillation.presets import UnetPart, load_preset
from dmm.distillation.student_sizes import student_shapes
from dmm.distillation.teacher import Teacher
from dmm.distillation.teacher_outputs import LiveOutputs, StoredOutputs
from dmm.distillation.training_clips import TrainingClips
from dmm.distillation.unet_training import STORING_BATCH, make_student, make_unet_loss
from dmm.fitting.compute import Compute
from dmm.fitting.loop import fit
from dmm.generation.grammar import load_grammar

NANO = Path("models/nano/nano.safetensors")
CLIPS, STEPS, BATCH = 64, 8, 32
HEADER = (
    "| date | commit | machine | student | batch | rounds | plain, clips a CPU second"
    " | ours, teacher at work | ours, outputs stored |\n|" + "---|" * 9
)


def plain_loop(part: UnetPart, teacher: Teacher, examples: Examples) -> Callable[[], None]:
    """Steps as a diffusers training script takes them."""
    from diffusers import DDPMScheduler
    from diffusers.training_utils import EMAModel

    from dmm.checkpoints.pipeline import SCHEDULER, load_pipeline

    pipeline = load_pipeline(NANO)
    guide = pipeline.unet.requires_grad_(False).eval()
    unet = build_unet(student_shapes(part, teacher.shapes))
    inherit_weights(unet, guide)
    average = EMAModel(unet.parameters(), decay=part.ema_decay)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-4)
    scheduler: Any = DDPMScheduler.from_config({**SCHEDULER, "prediction_type": "v_prediction"})
    latents, embeddings = examples.clips.latents, examples.table.embeddings(torch.arange(CLIPS))
    empty = teacher.embed([""])
    sizes = torch.tensor([256.0, 256, 0, 0, 256, 256]).expand(BATCH, 6)

    def predict(network: Any, noisy: Any, timesteps: Any, context: Any, pooled: Any) -> Any:
        added = {"text_embeds": pooled, "time_ids": sizes}
        with torch.autocast("cpu", torch.bfloat16):
            return network(noisy, timesteps, context, added_cond_kwargs=added).sample

    def step() -> None:
        chosen = torch.randint(CLIPS, (BATCH,))
        noise, timesteps = torch.randn(latents[chosen].shape), torch.randint(1000, (BATCH,))
        noisy = scheduler.add_noise(latents[chosen], noise, timesteps)
        context, pooled = embeddings.tokens[chosen], embeddings.pooled[chosen]
        with torch.no_grad():
            asked = predict(guide, noisy, timesteps, context, pooled)
            without = predict(
                guide, noisy, timesteps, empty.tokens.expand(BATCH, -1, -1),
                empty.pooled.expand(BATCH, -1),
            )  # fmt: skip
            target = without + part.guidance * (asked - without)
        found = predict(unet, noisy, timesteps, context, pooled)
        loss = torch.nn.functional.mse_loss(found.float(), target.float())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        average.step(unet.parameters())

    return step


def our_loop(
    part: UnetPart, teacher: Teacher, examples: Examples, outputs: Any, folder: Path
) -> Callable[[], None]:
    """``STEPS`` steps of our training, its state at the end included."""
    student = make_student(part, student_shapes(part, teacher.shapes), teacher, 0)
    loss = make_unet_loss(part, student, examples, outputs, teacher)

    def steps() -> None:
        state = folder / f"{time.monotonic_ns()}.pt"
        fit("UNet", student, loss, part.schedule(), state, 0, teacher.compute)

    return steps


def seconds(call: Callable[[], object]) -> float:
    """CPU time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    """Alternate the loops and print the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--student", default="nano-quarter")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    preset = load_preset(options.student).unet
    assert preset is not None
    uses = preset.steps * preset.batch_size / max(1, preset.store)
    short = {"steps": STEPS, "batch_size": BATCH, "optimizer": "adamw", "learning_rate": 1e-4}
    part = preset.model_copy(update={**short, "store": 0})
    stored_part = preset.model_copy(update={**short, "store": BATCH})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        teacher = Teacher(NANO, (), Compute("cpu", "bf16"))
        texts = load_grammar("minimidi").draw(CLIPS, 0)
        clips = TrainingClips(torch.randn(CLIPS, 8, 32, 32), [[text] for text in texts])
        table = EmbeddingTable(teacher, texts, folder)
        examples = Examples(clips, table, NoiseSchedule.of("v_prediction"), part.guidance, 0)
        live = LiveOutputs(teacher, [])
        filling = seconds(
            lambda: StoredOutputs(live, examples, 8 * STORING_BATCH, STORING_BATCH, folder / "a")
        )
        stored = StoredOutputs(live, examples, BATCH, STORING_BATCH, folder / "b")
        plain = plain_loop(part, teacher, examples)
        ours = our_loop(part, teacher, examples, live, folder)
        ours_stored = our_loop(stored_part, teacher, examples, stored, folder)
        extra = filling / (8 * STORING_BATCH) / uses * STEPS * BATCH
        plain()
        rows = []
        for _ in range(options.rounds):
            theirs = seconds(lambda: [plain() for _ in range(STEPS)])
            rows.append((theirs, theirs / seconds(ours), theirs / (seconds(ours_stored) + extra)))
    times, first, second = (np.array(column) for column in zip(*rows, strict=True))
    cells = (
        *provenance("1 thread"),
        options.student,
        BATCH,
        options.rounds,
        f"{STEPS * BATCH / np.median(times):.1f}",
        *(f"{np.median(x):.2f} x ({x.min():.2f}-{x.max():.2f})" for x in (first, second)),
    )
    print(HEADER)
    print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
