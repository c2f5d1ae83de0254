"""What the world sees of us and we of it: logs, metrics, time, ids, the way to wake the loop."""
