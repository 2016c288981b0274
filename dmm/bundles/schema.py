"""``bundle.json``: what a bundle holds, how to generate with it, and what it was checked against.

docs/bundle.md describes every field in words; the player reads the same file.
"""

from typing import Literal

from pydantic import BaseModel, Field

VERSION = 1
FILE = "bundle.json"
Precision = Literal["fp32", "fp16", "mixed", "int8", "int4"]
PARTS = ("text_encoder", "text_encoder_2", "unet", "vae_decoder")


class StrictModel(BaseModel, frozen=True, extra="forbid"):
    """A model in which an unknown field is an error."""


class StoredFile(StrictModel, frozen=True):
    """A file of the bundle."""

    file: str
    """Its path within the bundle, with forward slashes."""
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Tensor(StrictModel, frozen=True):
    """An input or output of a part."""

    dtype: Literal["float32", "int32"]
    shape: list[int | str]
    """A name is an axis of any length; equal names are equal lengths."""


class Memory(StrictModel, frozen=True):
    """Forecast of the memory that a part takes in a browser."""

    wasm_peak_bytes: int
    """Heap of WebAssembly that one session needs while it runs on the CPU: weights as they are
    computed there, and activations. Copies of weights in JavaScript come on top."""
    webgpu_peak_bytes: int
    """Memory on the graphics card: weights, and the activations that are alive at once."""
    largest_tensor_bytes: int
    """Largest buffer that a WebGPU device must be able to bind."""


class Part(StrictModel, frozen=True):
    """A network of the bundle."""

    model: StoredFile
    """The ONNX graph."""
    data: list[StoredFile]
    """Its weights, unless they are in the graph's file."""
    precision: Precision
    opset: int
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    memory: Memory | None = None


class Encoder(StrictModel, frozen=True):
    """Vocabulary size, special tokens and input length of one text encoder."""

    vocab_size: int
    bos: int
    eos: int
    pad: int
    max_length: int = 77


class Tokenizer(StrictModel, frozen=True):
    """CLIP's byte-pair merges, from whose order the vocabulary follows."""

    merges: StoredFile
    encoders: list[Encoder]
    """One for each text encoder."""


class Schedule(StrictModel, frozen=True):
    """The noise schedule that the UNet was trained with, in diffusers' words."""

    train_timesteps: int
    beta_start: float
    beta_end: float
    beta_schedule: Literal["scaled_linear", "linear"]
    timestep_spacing: Literal["leading", "linspace", "trailing"]
    steps_offset: int
    rescale_betas_zero_snr: bool = False


class SamplingDefaults(StrictModel, frozen=True):
    """How clips are sampled unless a user says otherwise."""

    sampler: str
    steps: int = Field(ge=1)
    guidance: float
    """1 or less is one pass a step: no classifier-free guidance."""
    negative_prompt: str = ""
    prediction_type: Literal["epsilon", "v_prediction", "sample"]
    schedule: Schedule


class Latent(StrictModel, frozen=True):
    """Size and scale of the UNet's latents."""

    channels: int
    rows: int
    columns: int
    """Of one clip; any other multiple of ``multiple`` works where the axis is dynamic."""
    factor: int
    """Image pixels per latent, along one side."""
    scaling_factor: float
    """For information: the decoder divides by it itself."""
    multiple: int = 1
    """Rows and columns are multiples of this."""


class Licences(StrictModel, frozen=True):
    """Licences of the base, of the LoRAs, and of the music that they learnt from."""

    base: str
    loras: list[str]
    music: list[str]


class Origin(StrictModel, frozen=True):
    """Sources of the bundle."""

    checkpoint_sha256: str
    loras: list[dict[str, str | float]]
    dmm_version: str


class Parity(StrictModel, frozen=True):
    """Difference of a part, a sampling run or clips from PyTorch in single precision."""

    part: str
    """A part's name, ``whole run``, or ``clips``."""
    against: str
    precision: Precision | None = None
    """Precision of this comparison: the bundle's own, or fp32 as a step towards it."""
    relative_error: float | None = None
    """||difference|| / ||expected||."""
    psnr_db: float | None = None
    """Of the mel image, peak 255."""
    adherence: float | None = None
    """Mean cosine between clips and prompts, times 100; higher is better."""
    adherence_expected: float | None = None
    """The same for PyTorch's clips."""
    fad: float | None = None
    """Fréchet audio distance between both sets of clips."""
    clips: int | None = None
    passes: bool


class Bundle(StrictModel, frozen=True):
    """All of ``bundle.json``."""

    version: Literal[1]
    name: str
    architecture: str
    """``sdxl`` or ``sd15``: whether the UNet takes pooled text and sizes, or neither."""
    parts: dict[str, Part]
    tokenizer: Tokenizer
    sampling: SamplingDefaults
    latent: Latent
    anchor: str = ""
    stereo: bool = False
    clip_skip: int | None = None
    """For information: the text encoder ends at that layer itself."""
    format: StoredFile
    prompts: list[str] = []
    licences: Licences
    source: Origin
    parity: list[Parity] = []
    reference: StoredFile | None = None
    """Expected values for ``dmm export --verify``; a player does not need them."""
    doctor: StoredFile | None = None
    """Nodes that the precision doctor kept in fp32 and why; a player does not need them."""

    def files(self) -> list[StoredFile]:
        """Every file of the bundle but ``bundle.json``."""
        parts = [file for part in self.parts.values() for file in (part.model, *part.data)]
        others = filter(None, (self.reference, self.doctor))
        return [*parts, self.tokenizer.merges, self.format, *others]
