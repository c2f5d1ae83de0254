"""Does a job fit a site, and how well? Filters refuse with a reason, scorers give a number, both read two ways.

Row by row they explain; column by column (numpy) they judge a thousand sites at once. Pure: no I/O, no clock, no
randomness. Whether a site *may* take a job is ``policy``'s question; its answer comes in as a judgement.
"""
