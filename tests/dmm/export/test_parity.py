import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest

from dmm.bundles.bundle_player import BundlePlayer
from dmm.bundles.folder import open_bundle
from dmm.errors import ModelError
from dmm.export.comparing import psnr_db, relative_error
from dmm.export.exporter import export
from dmm.export.parity import part_row, raise_on_failure, verify
from dmm.export.scoring import ClipScorer
from dmm.files import sha256_file


@pytest.fixture
def bundle(exported, tmp_path):
    """A copy to damage."""
    return shutil.copytree(exported, tmp_path / "bundle")


def restated(folder, file):
    """Make ``bundle.json`` agree with a file that was changed."""
    description = json.loads((folder / "bundle.json").read_text())
    for part in description["parts"].values():
        for stored in (part["model"], *part["data"]):
            if stored["file"] == file:
                stored["sha256"] = sha256_file(folder / file)
                stored["bytes"] = (folder / file).stat().st_size
    (folder / "bundle.json").write_text(json.dumps(description))


def test_a_whole_bundle_passes_by_its_files_alone(bundle):
    rows = verify(bundle)
    assert [row.part for row in rows][-1] == "whole run" and all(row.passes for row in rows)
    assert max(row.relative_error for row in rows) < 1e-4 and rows[-1].psnr_db > 60


def test_other_weights_are_found_and_their_part_named(bundle):
    shard = next(bundle.glob("unet.onnx.data-*"))
    numbers = np.fromfile(shard, np.float32)
    (numbers * 1.01).tofile(shard)
    restated(bundle, shard.name)
    with pytest.raises(
        ModelError, match=r"unet \(fp32\): relative error to PyTorch, fp32 is .* \(limit 0.0001\)"
    ):
        verify(bundle)


def test_a_shard_that_is_missing_is_named(bundle):
    shard = next(bundle.glob("unet.onnx.data-*"))
    shard.unlink()
    with pytest.raises(ModelError, match=rf"{shard.name}: missing; copy the whole bundle again"):
        open_bundle(bundle)


def test_a_shard_that_is_cut_off_is_named_with_both_sizes(bundle):
    shard = next(bundle.glob("unet.onnx.data-*"))
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(ModelError, match=rf"{shard.name}: 1,000 bytes, not .*; copy it again"):
        open_bundle(bundle)


def test_a_shard_that_is_altered_is_named(bundle):
    shard = next(bundle.glob("unet.onnx.data-*"))
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ModelError, match=rf"{shard.name}: altered"):
        BundlePlayer(bundle, "cpu")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 2}', "bundle version 2, known up to 1; update dmm"),
        ("{", "damaged, not valid JSON"),
        ("[]", "input should be a valid dictionary"),
        ('{"version": 1}', "name: Field required"),
    ],
)
def test_a_description_that_is_newer_or_damaged_is_told_in_a_line(bundle, text, message):
    (bundle / "bundle.json").write_text(text)
    with pytest.raises(ModelError, match=message) as caught:
        open_bundle(bundle)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_bundle_is_told_with_the_command(tmp_path):
    with pytest.raises(ModelError, match=r"no bundle .*make one with dmm export"):
        open_bundle(tmp_path)


def test_an_opset_that_the_runtime_lacks_names_file_and_remedy(bundle):
    path = bundle / "vae_decoder.onnx"
    model = onnx.load(path, load_external_data=False)
    model.opset_import[0].version = 99
    path.write_bytes(model.SerializeToString())
    restated(bundle, path.name)
    player = BundlePlayer(bundle, "cpu")
    latents = np.zeros(player.latent_shape(), np.float32)
    with pytest.raises(ModelError, match=r"vae_decoder.onnx: .*update onnxruntime") as caught:
        player.decode(latents)
    assert "\n" not in str(caught.value)


def test_errors_are_relative_and_infinite_where_numbers_are():
    assert relative_error(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == pytest.approx(0.1)
    assert relative_error(np.array([np.nan]), np.array([1.0])) == float("inf")


@pytest.mark.parametrize(
    ("precision", "error", "passes"),
    [
        ("fp32", 0.9e-4, True), ("fp32", 1.1e-4, False), ("mixed", 0.9e-2, True),
        ("fp16", 1.1e-2, False), ("int4", 0.5, True), ("int8", float("inf"), False),
    ],
)  # fmt: skip
def test_each_precision_has_its_limit(exported, precision, error, passes):
    row = part_row("unet", precision, error)
    assert row.passes == passes
    if not passes:
        with pytest.raises(ModelError, match=rf"unet \({precision}\): .*; (export|report) it"):
            raise_on_failure(exported, open_bundle(exported), [row])


def test_psnr_of_a_known_error():
    image = np.zeros((8, 8), np.uint8)
    assert psnr_db(image + 255, image) == pytest.approx(0)
    assert psnr_db(image, image) == 100


def test_clips_of_both_are_scored_and_the_best_prompts_come_first(student, options, tmp_path):
    prompts = ("organ, slow", "flute and drums, fast", "pad, dark")
    scorer = ClipScorer("nano-clap")
    bundle = export(replace(options(student), prompts=prompts), tmp_path / "out", scorer)
    row = bundle.parity[-1]
    assert (row.part, row.clips, row.passes) == ("clips", 3, True)
    assert row.adherence == pytest.approx(row.adherence_expected, abs=0.5) and row.fad < 0.01
    with np.load(tmp_path / "out" / "reference.npz") as file:
        best = file["clips.similarities"].argmax()
    assert sorted(bundle.prompts) == sorted(prompts) and bundle.prompts[0] == prompts[best]


def test_clips_can_be_scored_again_only_by_the_same_embedder(exported):
    with pytest.raises(ModelError, match=r"the export scored no clips; export again with --clips"):
        verify(exported, ClipScorer("nano-clap"))
