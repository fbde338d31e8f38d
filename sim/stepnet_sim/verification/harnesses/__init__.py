"""What is proven of each block. Blocks are named through their modules, which a mutant changes."""
