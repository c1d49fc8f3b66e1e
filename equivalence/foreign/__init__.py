"""Someone else's implementation in the place of the reference: loaded from a file, held to the contract, watched."""
