"""Content Credentials: keys, signing, reading, trust lists, and the invisible mark by which a lost credential is found again."""
