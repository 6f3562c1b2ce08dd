"""Everything that touches the private side of the C2PA SDK: its engine, one-pass signing, and streams."""
