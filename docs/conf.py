"""How `make docs` builds the site from the pages of this folder. Nothing of it is fetched from elsewhere."""

from __future__ import annotations

from airflow_datahub import __version__

project = "airflow-datahub"
author = "the authors of airflow-datahub"
release = version = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4  # so that links to headings are checked, too

html_theme = "furo"
html_title = f"airflow-datahub {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#00669c", "color-brand-content": "#00669c"},
    "dark_css_variables": {"color-brand-primary": "#4fb3e8", "color-brand-content": "#4fb3e8"},
}
pygments_style = "friendly"
pygments_dark_style = "monokai"
