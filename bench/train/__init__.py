"""What the methods do for a model: trainings on real data, paired by seed, with honest statistics.

A *regime* is a training objective with one number that says how strongly it regularises; the number is chosen on a
validation part, by the same small search for every regime. A *run* is one regime, dataset and seed: the seed says which
samples are labelled, where the parameters start, in which order batches come and what is drawn. Regimes with the same
seed share all of that, so their differences are paired.
"""
