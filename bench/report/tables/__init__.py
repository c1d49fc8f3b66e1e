"""The tables of a report, a file a topic. Pure functions of records; whatever shows a table reads entries, no text."""
