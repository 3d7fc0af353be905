"""Pages that stand outside docs/ become part of the site, with the pictures they show; MkDocs calls this."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README and what it links to, as far as a browser shows it: pages and pictures."""
    for name, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    pages = [ROOT / name for name in OUTSIDE] + [Path(file.abs_src_path) for file in files if file.abs_src_path]
    shown = {path for page in pages if page.suffix == ".md" for path in _pictures(page)}
    for path in sorted(shown):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository into links of the site, and those to code and tables into their paths."""
    outside = {page: name for name, page in OUTSIDE.items()}
    source = ROOT / outside.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def of_site(match: re.Match[str]) -> str:
        picture, text, target, anchor = match.groups()
        if "://" in target:
            return match[0]
        path = (source.parent / target).resolve().relative_to(ROOT).as_posix()
        uri = OUTSIDE.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(uri) is None:
            return f"{text} (`{path}`)" if text.strip("`") not in path else f"`{path}`"
        return f"{picture}[{text}]({uri}{anchor or ''})"

    return LINK.sub(of_site, markdown)


def _pictures(page: Path) -> list[Path]:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    paths = [(page.parent / target).resolve() for _, _, target, _ in links if target.endswith((".png", ".svg"))]
    return [path for path in paths if path.is_file()]
