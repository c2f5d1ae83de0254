"""Do results of the same work, run in several hands, agree; which one holds; who answers for the others?

Pure: no I/O, no clock, no randomness. What each place left, and the control plane's key, are passed in. It does not
place replicas, and it does not say that an answer is right: that many independent hands say the same, or that a
trusted one does. No part of the control loop asks it yet, and documents refuse ``spec.verification`` by name.
"""
