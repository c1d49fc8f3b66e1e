"""`python -m bench`, and where it is installed the command `equireg`."""

from bench.cli import app


def main() -> None:
    app(prog_name="python -m bench")


if __name__ == "__main__":
    main()
