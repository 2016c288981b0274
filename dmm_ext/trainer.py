"""The SDXL LoRA trainer of sd-scripts with our hooks; runs in the engine's own process.

``python -m dmm_ext.trainer --config_file RUN/engine.toml``, which ``dmm train`` does.
"""

import argparse
from pathlib import Path
from typing import Any

import sdxl_train_network
from library import train_util

from dmm.sdxl_shapes import read_shapes

from . import captions
from .any_width import sizes_of
from .huber import ANNEALINGS, annealed
from .records import Records
from .steps import Steps


class MelNetworkTrainer(sdxl_train_network.SdxlNetworkTrainer):
    """Any-width checkpoints, an annealed Huber threshold, anchored captions, true step counts."""

    steps: Steps
    records: Records

    def assert_extra_args(self, args: Any, train_group: Any, val_group: Any) -> None:
        """Both dataset groups pass here before anything is loaded."""
        super().assert_extra_args(args, train_group, val_group)
        for group in filter(None, (train_group, val_group)):
            captions.anchor(group.datasets)
        if args.huber_c_start is not None:
            args.huber_schedule = "constant"  # the schedules vary it over the timestep instead
        run = Path(args.output_dir)
        self.records = Records(run / "metrics.jsonl")
        self.steps = Steps(args)
        self.steps.use_in_names(run / "state")

    def load_target_model(self, args: Any, weight_dtype: Any, accelerator: Any) -> Any:
        """Load with the checkpoint's own sizes; the accelerator is first seen here."""
        self.steps.watch(accelerator)
        checkpoint = Path(args.pretrained_model_name_or_path)
        if not checkpoint.is_file():
            return super().load_target_model(args, weight_dtype, accelerator)
        with sizes_of(read_shapes(checkpoint)):
            loaded = super().load_target_model(args, weight_dtype, accelerator)
        # The file keeps the projection as x @ P and the engine does not transpose it; diffusers,
        # with which we generate, does.
        projection: Any = loaded[1][1].text_projection.weight
        projection.data = projection.data.T.contiguous()
        return loaded

    def post_process_network(
        self, args: Any, accelerator: Any, network: Any, text_encoders: Any, unet: Any
    ) -> None:
        """Give every saved LoRA its true step counts."""
        save_weights = network.save_weights

        def save(file: str, dtype: Any, metadata: dict[str, str]) -> None:
            corrected = dict(metadata)
            self.steps.correct(corrected)
            corrected["dmm_anchor"] = args.anchor or ""
            save_weights(file, dtype, corrected)

        network.save_weights = save

    def on_step_start(self, args: Any, accelerator: Any, *rest: Any, is_train: bool = True) -> None:
        """Set the Huber threshold of the coming step; validation is always scored at the last."""
        if self.steps.since == 0 and accelerator.is_main_process:
            self.records.rewind(self.steps.restored)
        if args.huber_c_start is not None:
            last = max(1, self.steps.total - 1)
            progress = self.steps.done / last if is_train else 1.0
            args.huber_c = annealed(
                args.huber_c_start, args.huber_c_end, progress, args.huber_anneal
            )
        if is_train and accelerator.sync_gradients:
            self.steps.since += 1

    def generate_step_logs(self, args: Any, *rest: Any, **named: Any) -> dict[str, Any]:
        """Add the threshold in force to the engine's own figures."""
        logs = super().generate_step_logs(args, *rest, **named)
        return logs | (
            {"huber_c": args.huber_c} if args.loss_type in ("huber", "smooth_l1") else {}
        )

    def step_logging(self, accelerator: Any, logs: dict, global_step: int, epoch: int) -> None:
        """Log under the true step, to TensorBoard and to ``metrics.jsonl``."""
        step = global_step + self.steps.restored
        if accelerator.is_main_process:
            self.records.write(step, logs)
        super().step_logging(accelerator, logs, step, epoch)


def setup_parser() -> argparse.ArgumentParser:
    """The engine's parser with our options."""
    parser = sdxl_train_network.setup_parser()
    parser.add_argument("--huber_c_start", type=float, help="Huber threshold at the first step")
    parser.add_argument("--huber_c_end", type=float, default=0.05, help="... at the last step")
    parser.add_argument("--huber_anneal", choices=ANNEALINGS, default="linear")
    parser.add_argument("--anchor", type=str, help="words in front of every caption, for metadata")
    return parser


def main() -> None:
    """Train as the engine's own script does."""
    parser = setup_parser()
    args = parser.parse_args()
    train_util.verify_command_line_training_args(args)
    args = train_util.read_config_from_file(args, parser)
    MelNetworkTrainer().train(args)


if __name__ == "__main__":
    main()
