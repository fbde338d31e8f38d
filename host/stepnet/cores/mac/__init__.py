"""The multiply-accumulate core: its shape, the layout of its weight memory, and its cycles."""
