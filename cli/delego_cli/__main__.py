"""``python -m delego_cli``: the command, where no script is on the path."""

from delego_cli.main import main

main()
