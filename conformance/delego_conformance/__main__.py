"""``python -m delego_conformance``: the command, where no script is on the path."""

from delego_conformance.cli import main

main()
