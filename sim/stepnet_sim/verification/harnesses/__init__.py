"""The claims that are proven, a module for each block or kind of block.

Harnesses reach the blocks through their modules, because a mutant is put into the module.
"""
