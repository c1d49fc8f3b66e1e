"""One file, one family of mistakes. A file here that defines MUTANTS is found by itself."""
