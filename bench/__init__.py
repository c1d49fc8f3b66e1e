"""Run, time, store and report what `equivalence` measures and what the methods cost."""
