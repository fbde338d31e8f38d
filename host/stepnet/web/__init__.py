"""The drawing page: draw a character, watch the bits that read it.

`serving` starts it, `app` answers its requests, `station` has the board that all tabs share, and
`guard` turns away whatever is not the page itself. `static` holds the page: modules of JavaScript
as they are, which compute the same as the reference. `site` writes it with networks as files for a
server of one's own, where a board is reached through Web Serial.
"""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
"""The folder of the page's own files."""
