"""Make a RUN folder as the checked-out commit writes one: ``python make_run.py FOLDER``.

``run-850b165`` came from this (its commit had ``train`` in ``dmm.train`` and nano's sizes in
``dmm.distill.nano``). Pictures, sounds, logs and all states but one were deleted from it. The LoRA
is on one of the base's blocks alone, so that the files stay small.
"""

import sys
from pathlib import Path

import torch

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions
from dmm.checkpoints.sdxl_layout import save_checkpoint, single_file_tensors
from dmm.pretraining.nano import NANO, build_four_networks
from dmm.training.train import train

BLOCKS = ",".join("1" if block == 5 else "0" for block in range(23))
SETTINGS = (
    "train_batch_size=2", "save_state=true", "save_every_n_steps=2", "max_train_steps=3",
    "validate_every_n_steps=1", "early_stop_patience=9", "ema_decay=0.9",
    f"network_args=block_dims={BLOCKS}", "network_dim=1", "network_alpha=1",
    "preview_every_n_steps=2", "preview_steps=1", "preview_count=1", "preview_prompts=piano",
)  # fmt: skip


def main() -> None:
    """Build a dataset and an untrained base, and train three steps."""
    folder = Path(sys.argv[1])
    data, base = folder / "music", folder / "tiny.safetensors"
    options = BuildOptions(source="minimidi", format="nano", styles=("music box",), val=0.4)
    build_dataset(data, options, count=8, jobs=1)
    torch.manual_seed(0)
    metadata = {"modelspec.prediction_type": "v", "dmm_format": "nano"}
    save_checkpoint(base, single_file_tensors(*build_four_networks(NANO)), metadata, torch.float32)
    train("nano-cpu", data, base, folder / "run", SETTINGS)


if __name__ == "__main__":
    main()
