"""How large and how fast a chip becomes, before anything is built, and which engine to choose."""
