"""Run the command line as ``python -m gioconda``."""

from gioconda.cli import main

main()
