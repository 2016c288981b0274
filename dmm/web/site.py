"""The player as a folder for any static host, GitHub Pages included."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..bundles.schema import FILE
from ..files import refuse_non_empty, whole_folder, write_text
from .offers import OfferedBundle, bundle_list_json


def write_site(page: Path, offers: Sequence[OfferedBundle], out: Path) -> None:
    """Write the page with its bundles to ``out``; InputError if that is a file or not empty.

    Where a host cannot send the headers, the page's own service worker adds them.
    """
    refuse_non_empty(out)
    with whole_folder(out) as folder:
        shutil.copytree(page, folder, dirs_exist_ok=True)
        for offer in offers:
            for name in (FILE, *(stored.file for stored in offer.bundle.files())):
                target = folder / "bundles" / offer.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(offer.folder / name, target)
        write_text(folder / "bundles" / "index.json", bundle_list_json(offers))
        (folder / ".nojekyll").touch()  # or GitHub Pages would leave out files it takes for its own
