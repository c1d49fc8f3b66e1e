"""Normalisations."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

add("jax.nn.standardize", "nn.standardize(x)", hand="hand.layer_norm(x)", x=normal(3, 6))
