"""Small blocks that anything may be built of: memories, counting, delays.

They know nothing of networks, links or boards, and import nothing else of this package.
"""
