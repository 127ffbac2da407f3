"""The book: the manual's pages and the executed notebooks, built offline from committed outputs."""

from importlib import metadata

project = "cocoanalysis"
author = "The cocoanalysis maintainers"
copyright = author  # Sphinx reads this name
try:
    release = metadata.version("cocoanalysis")
except metadata.PackageNotFoundError:
    release = ""

extensions = ["myst_nb"]
root_doc = "index"
exclude_patterns = ["README.md"]

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist"]  # no math: it would be drawn by a script from elsewhere
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "Public leadership and co-created public value"
html_theme_options = {"use_download_button": False, "use_fullscreen_button": False, "show_toc_level": 2}
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
