"""What several claims measure alike, by topic. General tools are in `equivalence/measure.py`."""
