"""What a table walk holds: the core that takes the tables of one network one after the other."""
