"""The command line as `python -m unheard`, for launchers that start modules, as torchrun does."""

from unheard.cli.app import main

if __name__ == "__main__":
    main()
