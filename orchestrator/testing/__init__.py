"""For authors of adapters and for our own tests: the conformance kit, fakes of the small ports, seeded faults."""
