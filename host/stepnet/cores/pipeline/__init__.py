"""What a pipeline is made of: the core that is one network of look-up tables."""
