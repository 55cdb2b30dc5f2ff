"""With which arguments the gallery runs a script of examples/."""

from pathlib import Path


def arguments(gallery_conf, script):
    """--quick for the figures of the paper, nothing for the others."""
    is_of_the_paper = Path(script["src_file"]).parent.name == "paper"
    return ["--quick"] if is_of_the_paper else []
