"""`python -m equireg`, the same as the command `equireg`."""

from bench.__main__ import main

main()
