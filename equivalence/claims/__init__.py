"""One file, one claim. A file here that defines CLAIM is found by itself."""
