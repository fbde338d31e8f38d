"""Boards behind one `infer()`: one, several, or one for programs with an event loop.

`board` is where a program starts; `session` and `image_stream` keep a board at work whatever
happens on the wire, and `search` finds boards at this machine's ports. `model` says what a board
has to answer to each request, for whoever simulates or checks one.
"""
