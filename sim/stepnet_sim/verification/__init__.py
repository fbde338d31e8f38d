"""The verification ladder as a program: each level runs its checks and says what came of them."""
