"""Rules of the house's own, in Cedar: checked against a schema, judged beside the packs, never able to loosen them.

``schemas`` says what such rules may read, made from the closed list of operands. ``texts`` finds places in their text,
``checking`` refuses what cannot be judged, ``judging`` asks Cedar about many sites at once, ``exports`` writes the
built-in packs as Cedar, for others to check us by. ``engine`` is the one door to the library; it is loaded when the
first rule is met, so that a house without rules of its own does not pay for it. Pure, as the rest of ``policy``.
"""
