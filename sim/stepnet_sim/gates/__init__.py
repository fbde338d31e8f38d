"""Chips as gates: bitstreams taken apart, routed netlists, and models of their cells."""
