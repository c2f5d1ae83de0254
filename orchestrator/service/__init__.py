"""The use cases: what a person may ask of a control plane, answered from the store. It never waits for a backend to
decide, and never acts on one by itself: acting is ``control``'s.
"""
