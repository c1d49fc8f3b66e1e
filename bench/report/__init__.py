"""Records -> tables, figures, a page. Pure functions of what was stored: no framework is imported, nothing measured."""
