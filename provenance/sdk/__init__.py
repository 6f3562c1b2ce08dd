"""What uses the C2PA SDK beyond its Python interface: settings, file descriptors, signing in one pass and in segments."""
