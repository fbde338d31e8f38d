"""Networks: what they are, what they compute, and their files.

The ground that everything else stands on; `reference` is the specification. The networks that come
with Stepnet, and the way from a name to a network, are in `shipped`.
"""
