"""The vocal classifier network, from waveform to probability, and its ONNX export.

Any ONNX classifier with the same contract can replace it: float32 waveforms (n, samples) as input,
probabilities (n,) as output, the sampling rate in Hz as ``sample_rate`` in the file's metadata.
"""

import copy
import math
import warnings
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dmm.files import whole_file

SR = 16_000
SAMPLES = 32_768
"""Samples of a window of 2.048 s."""
N_FFT, HOP, N_MELS, N_FRAMES = 1024, 320, 64, 100
FMIN, FMAX = 60.0, 7600.0
RANGE_DB = 80.0
FAINT_DB = -20.0
"""Least reference level: a window with a fainter loudest band is darker, down to black."""


class LogMel(nn.Module):
    """Log-mel levels in 0..1 over the 80 dB below a window's loudest band, so gain does not matter.

    The Fourier kernels are computed in the graph: as weights they would be 4 MB of the file.
    """

    bins: Tensor
    times: Tensor
    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bins", torch.arange(N_FFT // 2 + 1, dtype=torch.float32)[:, None])
        self.register_buffer("times", torch.arange(N_FFT, dtype=torch.float32)[None])
        self.register_buffer("window", torch.hann_window(N_FFT)[None] / math.sqrt(N_FFT))
        self.register_buffer("filters", mel_filters())

    def forward(self, waves: Float[Tensor, "n samples"]) -> Float[Tensor, "n 64 frames"]:
        """Log-mel spectrograms, one frame every 20 ms, by operators that ONNX has."""
        turn = torch.fmod(self.bins * self.times, N_FFT) * (2 * math.pi / N_FFT)
        kernels = torch.cat([torch.cos(turn) * self.window, torch.sin(turn) * self.window])
        parts = F.conv1d(waves[:, None], kernels[:, None], stride=HOP)
        real, imaginary = parts.split(N_FFT // 2 + 1, dim=1)
        return self.power_to_levels(real * real + imaginary * imaginary)

    def forward_by_fft(self, waves: Float[Tensor, "n samples"]) -> Float[Tensor, "n 64 frames"]:
        """Log-mel spectrograms by the fast Fourier transform, for training."""
        frames = waves.unfold(1, N_FFT, HOP) * self.window
        return self.power_to_levels(torch.fft.rfft(frames).abs().square().transpose(1, 2))

    def power_to_levels(
        self, power: Float[Tensor, "n bins frames"]
    ) -> Float[Tensor, "n 64 frames"]:
        """Power spectra to levels in 0..1."""
        power = torch.matmul(self.filters, power)
        level_db = 10 * torch.log10(power + 1e-10)
        loudest_db = level_db.amax((1, 2), keepdim=True).clamp(min=FAINT_DB)
        return ((level_db - loudest_db) / RANGE_DB + 1).clamp(min=0)


def mel_filters() -> Float[Tensor, "64 bins"]:
    """Triangular filters of unit height, evenly spaced on the mel scale 2595 log10(1 + f / 700)."""

    def mel(hz: float) -> float:
        return 2595 * math.log10(1 + hz / 700)

    steps = torch.linspace(mel(FMIN), mel(FMAX), N_MELS + 2, dtype=torch.float64)
    edges = 700 * (10 ** (steps / 2595) - 1)
    hz = torch.arange(N_FFT // 2 + 1, dtype=torch.float64) * SR / N_FFT
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0).float()


class VocalNet(nn.Module):
    """Four convolutions, a layer over all bands, pooling over time; about 51,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 24, 40, 48)
        layers: list[nn.Module] = []
        for i in range(4):
            layers += [nn.Conv2d(widths[i], widths[i + 1], 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(widths[i + 1]), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if i < 3 else []
        self.ear = nn.Sequential(*layers)
        self.bands = nn.Conv1d(widths[-1] * N_MELS // 8, 56, 1)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(112, 1)

    def forward(self, levels: Float[Tensor, "n 64 frames"]) -> Float[Tensor, " n"]:
        """Logit that a window holds a voice."""
        features = F.relu(self.bands(self.ear(levels[:, None]).flatten(1, 2)))
        pooled = torch.cat([features.mean(2), features.amax(2)], dim=1)
        return self.head(self.dropout(pooled))[:, 0]


class WaveToProbability(nn.Module):
    """The exported model: log-mel front end, network and calibration of the logit."""

    def __init__(self, net: VocalNet, scale: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.front, self.net = LogMel(), copy.deepcopy(net)
        self.scale, self.shift = scale, shift

    def forward(self, waves: Float[Tensor, "n samples"]) -> Float[Tensor, " n"]:
        """Probability that a window holds a voice."""
        return torch.sigmoid(self.scale * self.net(self.front(waves)) + self.shift)


def export_onnx(model: WaveToProbability, path: Path) -> None:
    """Write ``model`` as ONNX; the same weights give the same bytes."""
    with whole_file(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without further packages is deprecated
        torch.onnx.export(
            model.eval(),
            (torch.zeros(2, SAMPLES),),
            str(partial),
            input_names=["waveform"],
            output_names=["probability"],
            dynamic_axes={"waveform": {0: "n"}, "probability": {0: "n"}},
            opset_version=17,
            do_constant_folding=False,
            dynamo=False,
        )
        with partial.open("ab") as file:
            file.write(_metadata_entry_bytes("sample_rate", str(SR)))


def _metadata_entry_bytes(key: str, value: str) -> bytes:
    """Bytes that append an entry to ModelProto.metadata_props (field 14), as protobuf allows."""
    fields = [
        bytes([tag, len(text)]) + text for tag, text in ((10, key.encode()), (18, value.encode()))
    ]
    entry = b"".join(fields)
    return bytes([14 << 3 | 2, len(entry)]) + entry
