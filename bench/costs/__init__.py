"""What training steps cost: which are timed, how a block of them is, and what they must compute."""
