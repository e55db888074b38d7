"""Hooks of mkdocs: the report belongs to the site, and links to files outside docs/ become plain text."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
OUTSIDE = re.compile(r"!?\[([^\]]*)\]\(((?:\.\./)+[^)]*|(?!https?:)[^)#]+\.(?:csv|txt))\)")
ADDED = ("REPORT.md", "CHANGELOG.md", "CONTRIBUTING.md")


def on_files(files: Files, config: Any) -> Files:
    """Add those pages that lie beside docs/."""
    for name in ADDED:
        if (ROOT / name).exists():
            files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links from a page to the pages added above, and to files that the site does not hold."""
    if page.file.src_uri in ADDED:
        return OUTSIDE.sub(lambda link: link[1], _from_the_root(markdown))
    for name in ADDED:
        markdown = markdown.replace(f"](../{name})", f"]({name})")
    return OUTSIDE.sub(lambda link: link[1], markdown)


def _from_the_root(markdown: str) -> str:
    """A page of the root links to docs/x.md as x.md here, and to results/ not at all."""
    markdown = markdown.replace("](docs/", "](")
    return re.sub(r"!?\[([^\]]*)\]\((?!https?:|#)(?![\w/]+\.md)[^)]*\)", r"\1", markdown)
