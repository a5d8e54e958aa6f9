"""`condord`, and `python -m condord`: the way into the command line.

Rules: it imports next to nothing itself, so that a Ctrl-C while the rest is imported ends it without a word, too.
"""

import sys


def main() -> None:
    """Run the command line and leave the process."""
    try:
        from condord.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
