"""The command `equireg`, which `python -m equireg` is too."""

from bench.__main__ import main

if __name__ == "__main__":
    main()
