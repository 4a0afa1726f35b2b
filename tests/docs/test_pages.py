"""Every block of code of the documentation is run as written, page by page, each page in a fresh folder."""

from pathlib import Path

import pytest
from support import pages

NAMES = [page.stem for page in pages.PAGES]


@pytest.mark.parametrize("page", pages.PAGES, ids=NAMES)
def test_every_block_does_what_the_page_says(page: Path, own_folder: Path) -> None:
    for block in pages.blocks(page):
        pages.check(block)
        pages.run(block, own_folder)
