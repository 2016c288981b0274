"""All reading and writing of files: checked, whole or not at all, errors in one line."""

from .hashes import sha256_file
from .locks import folder_lock, output_lock
from .os_errors import make_folder, os_error_line, readable_os_errors
from .parsing import decode_text, parse_json, parse_toml, validated, validation_error_line
from .paths import file_in, path_inside, stays_inside
from .permissions import follow_umask
from .reading import (
    check_regular,
    open_bytes,
    read_bytes,
    read_json,
    read_jsonl,
    read_text,
    read_toml,
)
from .tables import read_table
from .writing import (
    refuse_non_empty,
    refuse_overwriting_input,
    scratch_folder,
    whole_file,
    whole_files,
    whole_folder,
    write_text,
)

__all__ = [
    "check_regular",
    "decode_text",
    "file_in",
    "folder_lock",
    "follow_umask",
    "make_folder",
    "open_bytes",
    "os_error_line",
    "output_lock",
    "parse_json",
    "parse_toml",
    "path_inside",
    "read_bytes",
    "read_json",
    "read_jsonl",
    "read_table",
    "read_text",
    "read_toml",
    "readable_os_errors",
    "refuse_non_empty",
    "refuse_overwriting_input",
    "scratch_folder",
    "sha256_file",
    "stays_inside",
    "validated",
    "validation_error_line",
    "whole_file",
    "whole_files",
    "whole_folder",
    "write_text",
]
