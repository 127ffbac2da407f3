"""``python -m cocoanalysis``: the same as ``coco``."""

from cocoanalysis.cli import app

if __name__ == "__main__":
    app(prog_name="coco")
