"""``python -m geocore``: the command line."""

from geocore.cli.app import main

if __name__ == "__main__":
    main()
