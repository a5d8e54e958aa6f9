"""`python -m condord` is the command `condord`."""

from condord.cli.main import main

if __name__ == "__main__":
    main()
