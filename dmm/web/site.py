"""The player as a folder for any static host, GitHub Pages included."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..bundles.schema import FILE
from ..files import output_lock, refuse_non_empty, whole_folder, write_text
from .offers import OfferedBundle, bundle_list_json


def write_site(page: Path, offers: Sequence[OfferedBundle], out: Path) -> None:
    """Write the page with its bundles.

    InputError if ``out`` holds something already, or another command writes it. A host that cannot
    send headers gets them by the page's own service worker.
    """
    with output_lock(out):
        refuse_non_empty(out)
        with whole_folder(out) as folder:
            shutil.copytree(page, folder, dirs_exist_ok=True)
            for offer in offers:
                for name in (FILE, *(stored.file for stored in offer.bundle.files())):
                    target = folder / "bundles" / offer.path / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(offer.folder / name, target)
            write_text(folder / "bundles" / "index.json", bundle_list_json(offers))
            (folder / ".nojekyll").touch()  # else GitHub Pages leaves out files of its own kind
