"""`python -m ottla` and the console script `ottla`."""


def main() -> None:
    """Run the command line; everything else is imported only when a command needs it."""
    from .cli.running import run

    run()


if __name__ == "__main__":
    main()
