"""What the numbers of ``dmm data fidelity`` mean to the ear, in plain words."""

from typing import Any

SHARP_PSNR_DB, SOFT_PSNR_DB = 38.0, 30.0
"""Of a picture: from here on, hardly a difference is heard; below, a blur is plain."""
HEARD_LU = 0.5
"""A change of loudness that a listener may notice."""
HEARD_CENTROID = 0.05


def expectations(report: dict[str, Any]) -> list[str]:
    """Say in sentences what to expect of the sound at best."""
    stages, top_khz = report["stages"], report["format"]["fmax"] / 1000
    image = stages["image"]
    above = 100 * report["energy_above_fmax"]["mean"]
    told = [
        f"The picture alone: {_error(image)}. {_loudness(image)} "
        "Phases are not in a picture and are found anew, so attacks and low notes soften a little.",
        f"Nothing above {top_khz:g} kHz is in the picture: {_percent(above)} of these clips' "
        "energy (measured in the clips as stored, at the format's own sampling rate).",
    ]
    own, name = report["base_format"], report["format"]["name"]
    if own and own != name:
        told.append(
            f"This base was made for pictures of format {own!r}, and these are {name!r}: its VAE "
            f"has never seen their like. Build the dataset with --format {own} to use it."
        )
    if "vae" in stages:
        told.append(_vae(stages["vae"], image))
        told.append(
            "This is the ceiling: a LoRA on this base draws through the same VAE and so cannot "
            "sound better than the last column."
        )
    else:
        told.append("The base model's VAE comes on top: name it with --base to hear that too.")
    return told


def _vae(vae: dict[str, Any], image: dict[str, Any]) -> str:
    psnr = vae["image_psnr_db"]["mean"]
    if psnr >= SHARP_PSNR_DB:
        heard = "hardly to be heard after the picture's own loss"
    elif psnr >= SOFT_PSNR_DB:
        heard = "a slight blur: quiet detail and sharp attacks suffer first"
    else:
        heard = "a plain blur: notes lose their edge and quiet ones vanish or smear into noise"
    more = vae["spectral_convergence"]["mean"] / max(image["spectral_convergence"]["mean"], 1e-9)
    return (
        f"After the VAE: {_error(vae)}, {more:.1f} times the picture's own error; the picture "
        f"keeps {psnr:.1f} dB PSNR, {heard}. {_loudness(vae)} {_colour(vae)}"
    ).rstrip()


def _error(stage: dict[str, Any]) -> str:
    share = 100 * stage["spectral_convergence"]["mean"]
    return (
        f"{share:.0f} % of the spectrum is off "
        f"and levels differ by {stage['log_spectral_db']['mean']:.1f} dB on average"
    )


def _loudness(stage: dict[str, Any]) -> str:
    if "loudness_lu" not in stage:
        return ""
    found = stage["loudness_lu"]
    furthest = max(abs(found["least"]), abs(found["most"]))
    if furthest < HEARD_LU:
        return f"Loudness stays within {furthest:.2f} LU."
    return f"Loudness changes by {found['mean']:+.1f} LU, at most {furthest:.1f}."


def _colour(stage: dict[str, Any]) -> str:
    ratio = stage["centroid_ratio"]["mean"]
    if abs(ratio - 1) < HEARD_CENTROID:
        return ""
    word = "duller" if ratio < 1 else "brighter"
    return f"It sounds {word}: the spectral centroid moves by {100 * (ratio - 1):+.0f} %."


def _percent(value: float) -> str:
    return f"{value:.2g} %" if value >= 0.01 else "less than 0.01 %"
