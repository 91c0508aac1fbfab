"""The search's index as a script too, since pages that are opened from disk cannot fetch a file."""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Write the script beside the index; called by MkDocs."""
    index = Path(config.site_dir, "search", "search_index.json")
    script = f"var __index = {index.read_text(encoding='utf-8')};\n"
    index.with_suffix(".js").write_text(script, encoding="utf-8")
