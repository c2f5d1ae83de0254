"""What is declared and what was last seen, as values: the one place that says what a site is.

Below ``control`` (which writes sightings) and ``service`` (which only reads), so that both see the same world.
"""
