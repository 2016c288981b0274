"""JSON, TOML and text files of users: presets, timelines, grammars, settings, records."""

import pytest

from dataset_tools.captions.lexicon import load_lexicon
from dataset_tools.dataset import read_built
from dataset_tools.sources.suno_clips import ClipIndex
from dmm.generation.grammar import load_grammar
from dmm.generation.prompts import read_prompts
from dmm.songs.timeline import read_timeline
from dmm.training.facts import read_dataset_facts
from dmm.training.presets import resolve
from dmm.training.runs import read_metric_lines, read_run
from dmm.ui.timeline_file import TimelineFile
from eval.origins import read_origin


def reading(path, read):
    """Write the input to a path and read it."""

    def target(data):
        path.write_bytes(data)
        load_lexicon.cache_clear()
        return read(path)

    return target


JSON = {
    "dataset.json": lambda path: read_built(path.parent),
    "facts": lambda path: read_dataset_facts(path.parent),
    "clip.json": lambda path: read_origin(path.with_suffix(".flac")),
    "run.json": lambda path: read_run(path.parent),
    "metrics.jsonl": read_metric_lines,
    ".timeline.json": lambda path: TimelineFile(path.parent).read(),
    "suno.json": lambda path: ClipIndex(path.parent),
}
TOML = {
    "preset.toml": lambda path: resolve(str(path)),
    "timeline.toml": read_timeline,
    "grammar.toml": lambda path: load_grammar(str(path)).draw(3, 0),
    "lexicon.toml": load_lexicon,
    "prompts.txt": read_prompts,
    "run": lambda path: read_run(path.parent),
}


@pytest.mark.parametrize("name", JSON)
def test_json_is_read_or_refused(name, count, tmp_path, try_inputs, hostile):
    path = tmp_path / ("dataset.json" if name == "facts" else name)
    (tmp_path / "dataset.toml").write_text("[[datasets]]\nsubsets = []\n")
    try_inputs("JSON files", hostile.json_texts(), reading(path, JSON[name]), count)


@pytest.mark.parametrize("name", TOML)
def test_toml_is_read_or_refused(name, count, tmp_path, try_inputs, hostile):
    (tmp_path / "run.json").write_text("{}")
    path = tmp_path / ("preset.toml" if name == "run" else name)
    try_inputs("TOML and text files", hostile.toml_texts(), reading(path, TOML[name]), count)
